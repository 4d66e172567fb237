"""Data files as they are trained on: lines, rows and turns, and what is wrong with them."""
