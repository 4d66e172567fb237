"""6 Report."""
