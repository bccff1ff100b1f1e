"""Values to MRML nodes and back. The only room that knows MRML, and the only one in which points are RAS."""
