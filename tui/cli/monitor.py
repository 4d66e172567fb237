"""Watching a run from another terminal, and pausing it: everything is read from its files."""

import errno
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.events import Usage
from engine.training.history import HistoryReader, RunHistory, require_readable
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.training.state import RunState, known_state
from engine.tuning.state import tuned_run
from tui.cli.monitor_view import view
from tui.console import out, print_json, say
from tui.run.handover import take_notice
from tui.run.other_process import ask_to_pause, out_of_reach
from tui.run.standing import words
from tui.terminal.keys import CTRL_C, single_keys

from rich.console import Group
from rich.live import Live
from rich.text import Text

_INTERVAL_S = 1.0
_COLUMNS = ("step", "epoch", "loss", "val_loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second",
            "peak_memory_gb", "elapsed_s")  # fmt: skip
_PART = 10_000
"""Steps that are made ready at once: each alone takes many times as long."""


@dataclass(frozen=True)
class Look:
    """A run as its files tell it at one moment."""

    run: Project
    """As that run sees it: while a tuning trains, one of its runs in the archive."""
    tuned: str
    """Which run of a tuning that is; empty for the project's own run."""
    state: RunState | None
    """None while a first run gets ready."""
    history: RunHistory
    owner: Owner | None
    """The process that trains; None if none does."""


def watch(project: Project, as_json: bool) -> None:
    """Show the run until it stops; with JSON, one object a step, one for usage that changed, one at the end.

    On a terminal Ctrl+C pauses the run and q leaves it alone.

    Raises:
        UserError: there is no run, its state or its metrics cannot be read, or another version wrote it.
    """
    if known_state(project.state_file) is None and lock_owner(project) is None:
        if os.path.lexists(project.state_file):
            raise UserError(
                _("{file} cannot be read: it is damaged").format(file=project.state_file),
                _("see what the run's other files tell with: mqlora-tui report"),
            )
        raise UserError(
            _("There is no run in {folder}").format(folder=project.run_dir),
            _("start one with: mqlora-tui train"),
        )
    require_readable(project)
    if as_json:
        for event in _events(project):
            print_json(event)
    else:
        if out.is_terminal and (notice := take_notice(project)):
            say(notice)
        with _leaving_a_lost_terminal():
            look = _show(project)
            if not out.is_terminal:  # then what was drawn last ends without a line break
                out.line()
            say(_after_tuning(look) if look.tuned else words(look.state, look.owner))


def _after_tuning(look: Look) -> str:
    if look.owner:
        return _("Process {pid} goes on tuning; watch it with: mqlora-tui monitor").format(pid=look.owner.pid)
    return _("The tuning is over, or paused; see how it stands, and go on, with: mqlora-tui tune")


@contextmanager
def _leaving_a_lost_terminal() -> Iterator[None]:
    """End as a hang-up does when the terminal is gone: nobody is there to be told."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise SystemExit(128 + signal.SIGHUP) from None


class _Watcher:
    """Looks at the project's run, or at the one that a tuning trains in its place."""

    def __init__(self, project: Project) -> None:
        self._project, self._run, self._tuned = project, project, ""
        self._reader = HistoryReader(project)

    def look(self) -> Look:
        owner = lock_owner(self._project)  # first: what the files say after it was free is the last
        if owner and (found := tuned_run(self._project, owner)):
            text = _("tuning, run {n} of {count}: {name}")
            name = one_line(found.project.run_dir.name, 80)
            self._tuned = text.format(n=found.place + 1, count=found.count, name=name)
            if found.project != self._run:
                self._run, self._reader = found.project, HistoryReader(found.project)
        state, history = RunState.load(self._run.state_file), self._reader.poll()
        return Look(self._run, self._tuned, state, history, owner)


def _show(project: Project) -> Look:
    """Draw until the run stops or the user leaves; return the last look."""
    watcher, hint, asked = _Watcher(project), "", None
    with Live(console=out, refresh_per_second=2) as live, single_keys() as next_key:
        while True:
            look = watcher.look()
            shown = view(look.run, look.state, look.history, look.owner, hint or _hint())
            live.update(Group(Text(look.tuned, "bold"), shown) if look.tuned else shown)
            if look.owner is None:
                return look
            key = next_key(_INTERVAL_S)
            if key == "q":
                return look
            if key == CTRL_C:
                asked, hint = look.owner, hint if look.owner == asked else _pause(project, look.owner)


def _hint() -> str:
    return _("Ctrl+C pauses the run   q leaves it alone") if out.is_terminal else ""


def _pause(project: Project, owner: Owner) -> str:
    """Ask for a pause and say so."""
    if ask_to_pause(project, owner):
        return _("Process {pid} is asked to pause; it saves a checkpoint first   q leaves").format(
            pid=owner.pid
        )
    return _("{reason}   q leaves").format(reason=out_of_reach(owner))


def _events(project: Project) -> Iterator[dict[str, Any]]:
    watcher, run, reported, usage = _Watcher(project), project, 0, Usage()
    while True:
        look = watcher.look()
        if look.run != run:
            run, reported, usage = look.run, 0, Usage()
            yield {"event": "tuned_run", "run": run.run_dir.name}
        reported = min(reported, len(look.history))
        yield from _steps(look.history, reported)
        reported = len(look.history)
        if look.state and look.state.usage != usage:
            usage = look.state.usage
            yield {"event": "usage", "step": look.state.step, **asdict(usage)}
        if look.owner is None:
            break
        time.sleep(_INTERVAL_S)
    if state := look.state:
        status = "interrupted" if state.status == "running" else state.status
        yield {"event": "run_state", "status": status, "step": state.step, "total_steps": state.total_steps}


def _steps(history: RunHistory, reported: int) -> Iterator[dict[str, Any]]:
    """Yield an event for each step after the first `reported`; null stands for a number that is not there."""
    for begin in range(reported, len(history), _PART):
        columns = [getattr(history, name)[begin : begin + _PART].tolist() for name in _COLUMNS]
        for values in zip(*columns, strict=True):
            known = [value if math.isfinite(value) else None for value in values]
            yield {"event": "step_done", **dict(zip(_COLUMNS, known, strict=True))}
