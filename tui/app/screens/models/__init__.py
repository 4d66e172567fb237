"""The list of base models, from which one is brought in."""
