"""`python -m tui` is `mqlora-tui`."""

import sys

from tui.launch import main

if __name__ == "__main__":
    sys.exit(main())
