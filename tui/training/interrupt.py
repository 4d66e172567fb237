"""Asking the process that trains, whichever it is, to pause."""

import os
import signal

from engine.training.lock import Owner


def ask_to_pause(owner: Owner) -> bool:
    """Ask `owner` to save and pause; False if it is of another machine or user, or has just ended."""
    if not owner.is_local:
        return False
    try:
        os.kill(owner.pid, signal.SIGINT)
    except OSError:
        return False
    return True
