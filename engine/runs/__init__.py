"""The runs of a project, the present one and those in its archive: what each was, and how they differ."""
