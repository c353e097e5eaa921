"""HTTP and the command line: the faces that people and programs call."""
