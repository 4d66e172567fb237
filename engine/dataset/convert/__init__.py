"""Files in other forms as rows of ours, and cleaned copies of the data."""
