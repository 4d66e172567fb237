"""The training engine: everything of mqlora-tui except its screens.

Importing this package, or any of its light modules, never imports MLX; what
needs MLX imports it through `engine.backend`, which readies the machine first.
"""

import os

# transformers reads these when it is imported: what it has to say is for programmers.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
