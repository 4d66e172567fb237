"""Attacks on our own promises: each script tries to lose work and counts what survived."""
