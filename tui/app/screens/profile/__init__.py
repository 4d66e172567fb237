"""2 Profile."""
