"""3 Data."""
