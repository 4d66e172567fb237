"""Base models: which are on this machine, and how one comes into `models/`."""
