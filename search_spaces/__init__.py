"""Study files that ship with the program: pure data."""
