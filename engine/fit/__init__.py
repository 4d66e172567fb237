"""Whether a configuration fits into memory: predicted before a run, measured in a process of its own."""
