"""Asking the process that trains, whichever it is, to pause."""

import os
import signal

from engine.project import Project
from engine.training.lock import Owner, lock_owner


def ask_to_pause(project: Project, owner: Owner) -> bool:
    """Ask `owner` to save and pause; False if it is of another machine or user, or trains no more."""
    if not owner.is_local or lock_owner(project) != owner:
        return False
    try:
        os.kill(owner.pid, signal.SIGINT)
    except OSError:
        return False
    return True
