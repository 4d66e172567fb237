"""4 Train."""
