"""The only room that knows MRML: what the Slicer module does on a scene, without its window."""
