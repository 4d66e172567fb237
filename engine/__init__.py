"""The training engine: everything of mqlora-tui except its screens.

Importing this package, or any of its light modules, never imports MLX; what
needs MLX imports it through `engine.backend`, which readies the machine first.
"""
