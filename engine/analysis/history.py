"""Reading a run back from its files."""
