"""What `monitor` draws: a few lines about a run."""

import math

from engine.analysis.run_folder import run_config
from engine.analysis.series import bucket_means
from engine.analysis.validations import Validations, validations_of
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.symbols import spark
from engine.training.history import RunHistory
from engine.training.lock_file import Owner
from engine.training.state import RunState, reason_of
from engine.units import duration
from tui.console import out
from tui.run.phase_words import phase_of, phase_words, usage_words
from tui.run.status import RunStatus
from tui.run.time_left import seconds_left, steps_made

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


def view(
    project: Project, state: RunState | None, history: RunHistory, owner: Owner | None, hint: str
) -> Group:
    """Return the lines: name and status, progress, figures, the curve of the loss, what keys do."""
    lines: list[Text | Table] = [Text(_title(project, state, owner), "bold")]
    if state and state.total_steps:
        lines.append(_bar(state, steps_made(history, state)))
    if state and len(history):
        lines.append(_figures(project, state, history, owner is not None))
        if spent := usage_words(state.usage):
            lines.append(Text("   ".join(spent)))
        lines.append(Text(_sparkline(history, out.width - 2), "cyan"))
    if owner and hint:
        lines.append(Text(hint, "dim"))
    return Group(*lines)


def _title(project: Project, state: RunState | None, owner: Owner | None) -> str:
    model = one_line(state.model, 40) if state else ""
    return " · ".join(filter(None, (one_line(project.root.name, 40), model, _status(state, owner))))


def _status(state: RunState | None, owner: Owner | None) -> str:
    if owner and (state is None or state.status != "running"):
        return _("getting ready")
    if state is None:
        return RunStatus().words
    if owner is None:
        return RunStatus("interrupted" if state.status == "running" else state.status, state.step).words
    if state.reason:  # a process is lost, and the run goes on without it
        return one_line(reason_of(state), 200)
    phase = phase_of(state)
    if phase is None:
        return RunStatus("running").words
    return f"{phase_words(phase)} {phase.done}/{phase.total}" if phase.total else phase_words(phase)


def _bar(state: RunState, made: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        Text(_("step {step:,}/{total:,}").format(step=made, total=state.total_steps)),
        ProgressBar(total=state.total_steps, completed=made, width=40),
    )
    return grid


def _figures(project: Project, state: RunState, history: RunHistory, is_running: bool) -> Text:
    loss = float(history.loss[-1])
    config = run_config(project)
    left = seconds_left(history, state, config)
    parts = [
        _("loss {loss:.3f}").format(loss=loss) if math.isfinite(loss) else _("loss not finite"),
        _validation(validations_of(history, config, state)),
        _("{speed:,.0f} tok/s").format(speed=history.tokens_per_second[-1]),
        (
            _("peak {memory:.2f} GB")
            if state.ranks == 1
            else _("peak {memory:.2f} GB (1 of {count} processes)")
        ).format(memory=history.peak_memory_gb[-1], count=state.ranks),
        _("left {time}").format(time=duration(left)) if left is not None and is_running else "",
    ]
    return Text("   ".join(part for part in parts if part))


def _validation(checked: Validations) -> str:
    if checked.failed_at_end:
        return _("validation not finite")
    return _("validation {loss:.3f}").format(loss=checked.losses[-1]) if len(checked.losses) else ""


def _sparkline(history: RunHistory, width: int) -> str:
    _x, losses = bucket_means(*history.points("loss"), width)
    if not len(losses):
        return ""
    return spark(losses.tolist(), float(losses.min()))
