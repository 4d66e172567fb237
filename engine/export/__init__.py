"""A trained adapter and its base model as files for other programs, and how much of the gain they keep."""
