"""Waiting for another process to give a run up, so that it can go on here."""

import asyncio
import time

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.training.state import RunState
from engine.units import duration

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
