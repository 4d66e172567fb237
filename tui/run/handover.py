"""A run whose app is gone, left or cut off, goes on in the background, and the next start says so."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

from engine.files import read_own, remove, write_json
from engine.i18n import _
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState, now
from tui.run.background import spawn

Why = Literal["lost", "left"]
"""Whether the connection was lost, or the app left by its user."""


def hand_over(project: Project, options: Sequence[str] = (), why: Why = "lost") -> None:
    """Let a paused run go on in a process of its own; called when nobody is there to be told.

    What goes wrong stands in the run's log; the run is saved in any case.

    Args:
        project: of the run.
        options: of `train`, besides --resume.
        why: the run has no app any more.
    """
    state = RunState.load(project.state_file)
    if state is None or state.status != "paused":
        return
    handover = Handover(now(), state.step, why=why)
    first_line = _("{time} The connection was lost at step {step:,}; the run goes on here.")
    if why == "left":
        first_line = _("{time} The app was left at step {step:,}; the run goes on here.")
    with suppress(OSError):
        handover.save(project)
    with suppress(OSError):
        line = first_line.format(time=handover.time, step=handover.step)
        process, _begin = spawn(project, ["--resume", *options], line)
        replace(handover, pid=process.pid).save(project)


_FILE = "handover.json"


@dataclass(frozen=True)
class Handover:
    """A run that went on without its terminal, and of which nobody has been told yet."""

    time: str
    """When that was, ISO 8601."""
    step: int
    """Optimizer steps done by then."""
    pid: int = 0
    """The process that is to go on; 0 if it could not be started."""
    why: Why = "lost"

    def save(self, project: Project) -> None:
        """Write it into the run's folder."""
        write_json(project.run_dir / _FILE, asdict(self))


def has_notice(project: Project) -> bool:
    """Whether `take_notice` has something to tell."""
    return (project.run_dir / _FILE).exists()


def take_notice(project: Project) -> str:
    """Return what became of a run that was handed over, once; empty if there is nothing to tell."""
    handover = _load(project)
    if handover is None:
        return ""
    when, starts = datetime.fromisoformat(handover.time).astimezone(), is_starting(project)
    if not starts:
        remove(project.run_dir / _FILE)
    text = _("The connection was lost on {day} at {clock}, at step {step:,}")
    if handover.why == "left":
        text = _("The app was left on {day} at {clock}, at step {step:,}")
    gone = text.format(day=when.strftime(_("%Y-%m-%d")), clock=f"{when:%H:%M}", step=handover.step)
    fate = _("the run is starting in the background.") if starts else _fate(project, handover)
    return f"{gone}; {fate}"


def is_starting(project: Project) -> bool:
    """Whether a run was handed over to a process that is there but does not hold the run yet."""
    import psutil  # not at start-up

    handover, state = _load(project), RunState.load(project.state_file)
    if handover is None or state is None or state.step > handover.step or lock_owner(project):
        return False
    try:
        command = psutil.Process(handover.pid).cmdline()
    except (psutil.Error, ValueError, OverflowError):
        return False
    return "train" in command and str(project.root) in command  # no other process that got its number since


def _load(project: Project) -> Handover | None:
    """Return the handover of which nobody was told yet; None where there is none, or none of ours."""
    try:
        handover = Handover(**json.loads(read_own(project.run_dir / _FILE)))
        datetime.fromisoformat(handover.time)
        return handover if isinstance(handover.step, int) and isinstance(handover.pid, int) else None
    except (OSError, ValueError, TypeError):
        return None


def _fate(project: Project, handover: Handover) -> str:
    state = RunState.load(project.state_file)
    if lock_owner(project):
        return _("the run goes on in the background.")
    if state is None or state.step <= handover.step:
        log = project.log_file.relative_to(project.root)
        return _("the run did not go on in the background, see {log}.").format(log=log)
    return _("the run went on in the background to step {step:,}.").format(step=state.step)
