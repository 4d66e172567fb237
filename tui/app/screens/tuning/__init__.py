"""The dialog that finds out which settings are best."""
