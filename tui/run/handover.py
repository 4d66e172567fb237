"""A lost connection: the paused run goes on in the background, and the next start says so."""

from contextlib import suppress
from dataclasses import replace

from engine.i18n import _
from engine.project import Project
from engine.training.state import RunState, now
from tui.run.background import spawn
from tui.run.notice import Handover


def hand_over(project: Project) -> None:
    """Let a paused run go on in a process of its own; called when nobody is there to be told.

    What goes wrong stands in the run's log; the run is saved in any case.
    """
    state = RunState.load(project.state_file)
    if state is None or state.status != "paused":
        return
    handover = Handover(now(), state.step)
    first_line = _("{time} The connection was lost at step {step:,}; the run goes on here.")
    with suppress(OSError):
        handover.save(project)
    with suppress(OSError):
        line = first_line.format(time=handover.time, step=handover.step)
        process, _begin = spawn(project, ["--resume"], line)
        replace(handover, pid=process.pid).save(project)
