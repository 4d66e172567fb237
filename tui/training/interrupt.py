"""Asking the process that trains, whichever it is, to pause."""

import os
import signal
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner

import psutil

_PROGRAM = "mqlora-tui"
_MODULE = ("-m", "tui")


def ask_to_pause(project: Project, owner: Owner) -> bool:
    """Ask `owner` to save and pause.

    A pid that stands in a file may be that of anybody: the process must be this user's,
    run this program and have the lock file open.

    Returns:
        False if it is none of these, of another machine, or trains no more.
    """
    if not owner.is_local or lock_owner(project) != owner:
        return False
    try:
        process = psutil.Process(owner.pid)
        if not may_train(process, project.lock_file):
            return False
        process.send_signal(signal.SIGINT)  # tells a pid that was given to another process
    except (psutil.Error, OSError):
        return False
    return True


def may_train(process: psutil.Process, lock_file: Path) -> bool:
    """Whether a process is this user's, runs this program and has a lock file open.

    Raises:
        psutil.Error: it is gone, or another user's.
    """
    return _is_this_program(process) and _has_open(process, lock_file)


def _is_this_program(process: psutil.Process) -> bool:
    words = process.cmdline()
    names = {Path(word).name for word in words[:3]}
    is_named = _PROGRAM in names or _MODULE in pairwise(words)
    return is_named and process.uids().real == os.getuid()


def _has_open(process: psutil.Process, lock_file: Path) -> bool:
    for opened in process.open_files():
        with suppress(OSError):
            if os.path.samefile(opened.path, lock_file):
                return True
    return False
