"""Values that a person edits, their history, and their computation here or in a process of their own."""
