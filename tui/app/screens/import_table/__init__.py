"""Importing rows of another file."""
