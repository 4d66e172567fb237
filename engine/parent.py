"""The process that started this one: a child that nobody waits for any more has to end."""

import os
import threading
from contextlib import suppress


def end_with_parent() -> None:
    """From now on end this process as soon as its standard input is closed: whoever asked is gone."""
    threading.Thread(target=_wait_for_end, daemon=True).start()


def _wait_for_end() -> None:
    with suppress(OSError):
        os.read(0, 1)  # not through `sys.stdin`, whose lock a thread may not hold at exit
    os._exit(1)
