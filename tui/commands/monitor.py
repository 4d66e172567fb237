"""Watching a run from another terminal: everything is read from its files."""

import time
from collections.abc import Iterator
from typing import Any

from engine.analysis.history import HistoryReader, RunHistory
from engine.analysis.series import bucket_means
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.text import one_line
from engine.training.state import RunState
from engine.words import duration
from tui.commands.output import out, print_json, say

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_INTERVAL_S = 1.0
_BLOCKS = "▁▂▃▄▅▆▇█"


def watch(project: Project, as_json: bool) -> None:
    """Show the run until it stops; with JSON, one object a step and one at the end.

    Raises:
        UserError: there is no run.
    """
    state = RunState.load(project.state_file)
    if state is None:
        raise UserError(
            _("There is no run in {folder}").format(folder=project.run_dir),
            _("start one with: mqlora-tui train"),
        )
    if as_json:
        for event in _events(project, state):
            print_json(event)
        return
    with Live(console=out, refresh_per_second=2, transient=False) as live:
        for state, history in _looks(project):
            live.update(_view(project, state, history))
    say(_("The run is no longer running; see: mqlora-tui report"))


def _looks(project: Project) -> Iterator[tuple[RunState, RunHistory]]:
    """Yield state and history once a second, a last time when the run has stopped."""
    reader = HistoryReader(project)
    while (state := RunState.load(project.state_file)) is not None:
        yield state, reader.poll()
        if not state.is_alive:
            return
        time.sleep(_INTERVAL_S)


def _events(project: Project, last: RunState) -> Iterator[dict[str, Any]]:
    told = 0
    for state, history in _looks(project):
        told = min(told, len(history))
        for index in range(told, len(history)):
            yield {"event": "step_done", **_row(history, index)}
        told = len(history)
        last = state
    status = "interrupted" if last.status == "running" else last.status
    yield {"event": "run_state", "status": status, "step": last.step, "total_steps": last.total_steps}


def _row(history: RunHistory, index: int) -> dict[str, Any]:
    names = ("step", "epoch", "loss", "val_loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second",
             "peak_memory_gb", "elapsed_s")  # fmt: skip
    values = {name: getattr(history, name)[index].item() for name in names}
    return {name: None if value != value else value for name, value in values.items()}


def _view(project: Project, state: RunState, history: RunHistory) -> Group:
    status = state.status if state.is_alive or state.status != "running" else _("interrupted")
    title = Text(f"{one_line(project.root.name, 40)} · {one_line(state.model, 40)} · {status}", "bold")
    if not len(history):
        return Group(title, Text(_("no step yet")))
    return Group(
        title, _bar(state), _figures(state, history), Text(_sparkline(history, out.width - 2), "cyan")
    )


def _bar(state: RunState) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        Text(_("step {step}/{total}").format(step=state.step, total=state.total_steps)),
        ProgressBar(total=max(1, state.total_steps), completed=state.step, width=40),
    )
    return grid


def _figures(state: RunState, history: RunHistory) -> Text:
    last = _row(history, len(history) - 1)
    _steps, validation = history.points("val_loss")
    left = (state.total_steps - state.step) * float(np.median(np.diff(history.elapsed_s[-50:], prepend=0.0)))
    parts = [
        _("loss {loss:.3f}").format(loss=last["loss"]) if last["loss"] is not None else _("loss not finite"),
        _("validation {loss:.3f}").format(loss=validation[-1]) if len(validation) else "",
        _("{speed:.0f} tok/s").format(speed=last["tokens_per_second"]),
        _("peak {memory:.2f} GB").format(memory=last["peak_memory_gb"]),
        _("left {time}").format(time=duration(left)) if state.is_alive else "",
    ]
    return Text("   ".join(part for part in parts if part))


def _sparkline(history: RunHistory, width: int) -> str:
    _x, losses = bucket_means(*history.points("loss"), width)
    if not len(losses):
        return ""
    low, span = float(losses.min()), float(np.ptp(losses)) or 1.0
    return "".join(_BLOCKS[min(7, int(8 * (value - low) / span))] for value in losses)
