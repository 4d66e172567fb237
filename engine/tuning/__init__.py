"""Which settings are best: a few are tried in short runs, the better ones trained to the end."""
