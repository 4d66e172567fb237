"""7 History."""
