"""Does an interrupted run end in the same bytes? Tried on the user's own model and data."""
