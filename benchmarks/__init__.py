"""Measurements of speed and memory; each script says in its docstring how it is run."""
