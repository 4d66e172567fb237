"""Asking the process that trains, whichever it is, to pause."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.shell import ended
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.training.state import RunState
from engine.units import duration

if TYPE_CHECKING:
    import psutil  # not at start-up

_PROGRAM = "mqlora-tui"
_MODULE = ("-m", "tui")


def ask_to_pause(project: Project, owner: Owner) -> bool:
    """Ask `owner` to save and pause.

    A pid that stands in a file may be that of anybody: the process must be this user's,
    run this program and have the lock file open.

    Returns:
        False if it is none of these, of another machine, or trains no more.
    """
    import psutil

    process = _trainer(project, owner)
    if process is None or lock_owner(project) != owner:
        return False
    try:
        process.send_signal(signal.SIGINT)  # tells a pid that was given to another process
    except (psutil.Error, OSError):
        return False
    return True


def can_ask(project: Project, owner: Owner) -> bool:
    """Whether `ask_to_pause` would find the process that it may signal."""
    return _trainer(project, owner) is not None


def out_of_reach(owner: Owner) -> str:
    """Say why `ask_to_pause` could not ask."""
    if not owner.pid:
        return _("The run has only just begun; try again in a moment")
    return _(
        "Process {pid} cannot be asked from here: it is of {host}, another user or another program"
    ).format(pid=owner.pid, host=one_line(owner.host, 60))


def nothing_to_pause(other: Owner | None, key: str) -> str:
    """Say why Ctrl+C paused nothing, where `key` leaves."""
    if other:
        return ended(out_of_reach(other))
    return _("Nothing is training. Press {key} to leave.").format(key=key)


def may_train(process: "psutil.Process", lock_file: Path) -> bool:
    """Whether a process is this user's, runs this program and has a lock file open.

    Raises:
        psutil.Error: it is gone, or another user's.
    """
    return _is_this_program(process) and _has_open(process, lock_file)


def _trainer(project: Project, owner: Owner) -> "psutil.Process | None":
    import psutil

    if not (owner.is_local and owner.pid):
        return None
    try:
        process = psutil.Process(owner.pid)
        return process if may_train(process, project.lock_file) else None
    except (psutil.Error, OSError):
        return None


def _is_this_program(process: "psutil.Process") -> bool:
    words = process.cmdline()
    names = {Path(word).name for word in words[:3]}
    is_named = _PROGRAM in names or _MODULE in pairwise(words)
    return is_named and process.uids().real == os.getuid()


def _has_open(process: "psutil.Process", lock_file: Path) -> bool:
    for opened in process.open_files():
        with suppress(OSError):
            if os.path.samefile(opened.path, lock_file):
                return True
    return False


LIMIT_S = 120.0
"""Longest wait for the other process, in seconds; it may be in the middle of a long step."""
_LOOK_INTERVAL_S = 0.2


async def given_up(project: Project, owner: Owner) -> bool:
    """Wait until `owner`, which was asked to pause, no longer holds the run.

    Returns:
        Whether the run can go on: it is paused, not finished.

    Raises:
        UserError: it did not pause in time, or ended otherwise.
    """
    limit = time.monotonic() + LIMIT_S
    while lock_owner(project) == owner:
        if time.monotonic() > limit:
            raise UserError(
                _("Process {pid} has not paused within {time}").format(pid=owner.pid, time=duration(LIMIT_S)),
                _("it does so when its step is finished, if it is alive: then press Enter"),
            )
        await asyncio.sleep(_LOOK_INTERVAL_S)
    state = RunState.load(project.state_file)
    if state is None or state.status not in ("paused", "finished"):
        raise UserError(
            _("Process {pid} ended without a pause").format(pid=owner.pid),
            _("press Enter to go on from what it has saved"),
        )
    return state.status == "paused"
