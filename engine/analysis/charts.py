"""The pictures of a run: `training_dashboard.png`, `training_detailed_analysis.png`, and single charts."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from engine import units
from engine.analysis import drawing, epoch_panels, panels
from engine.analysis.chart_series import Series
from engine.analysis.outcome import FEW_STEPS, LEAST_DRAWN
from engine.analysis.picture import DPI, write_new_picture, write_picture
from engine.analysis.run_folder import run_config
from engine.analysis.validations import validations_of
from engine.errors import UserError
from engine.i18n import _, ngettext
from engine.project import Project
from engine.sanitize import one_line
from engine.training.history import RunHistory, load_history
from engine.training.state import RunState, known_state

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = {
    "font.size": 11,
    "axes.edgecolor": "#8A94A0",
    "axes.labelcolor": "#2B333B",
    "xtick.color": "#2B333B",
    "ytick.color": "#2B333B",
    "legend.fontsize": 9.5,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "text.usetex": False,  # LaTeX would read a model's name as commands
}
"""Of matplotlib, for all charts of a run."""


def write_dashboard(project: Project) -> Path:
    """Write the 4 main charts, 2400 x 1350 pixels at 150 DPI, and return the file.

    Raises:
        UserError: fewer than two steps to draw, or a file of somebody else's has its name.
    """
    history, state = _run(project)
    initial = state.initial_val_loss if state else None
    checked = validations_of(history, run_config(project), state)
    with _styled():
        figure, axes = _figure(_("Training dashboard"), 2, 2, (16, 9), history, state)
        panels.loss_curves(axes[0], history, checked, initial)
        epoch_panels.epoch_means(axes[1], history, checked)
        panels.learning_rate(axes[2], history)
        panels.speed_and_memory(axes[3], history)
        return write_picture(figure, project.dashboard_png)


def write_analysis(project: Project) -> Path:
    """Write the 6 detailed charts, 2880 x 1620 pixels at 150 DPI, and return the file.

    Raises:
        UserError: fewer than two steps to draw, or a file of somebody else's has its name.
    """
    history, state = _run(project)
    initial = state.initial_val_loss if state else None
    checked = validations_of(history, run_config(project), state)
    with _styled():
        figure, axes = _figure(_("Training in detail"), 2, 3, (19.2, 10.8), history, state)
        per_epoch = state.steps_per_epoch if state else 0
        epoch_panels.loss_by_epoch(axes[0], history, per_epoch)
        panels.volatility(axes[1], history)
        panels.improvement_rate(axes[2], history)
        epoch_panels.cumulative_loss(axes[3], history, per_epoch)
        panels.learning_curve(axes[4], history, checked, initial)
        epoch_panels.loss_boxes(axes[5], history)
        return write_picture(figure, project.analysis_png)


def write_chart(
    project: Project, series: Series, rows: tuple[int, int], is_log: bool, state: RunState | None
) -> Path:
    """Write one chart as a file of its own, 1800 x 1050 pixels at 150 DPI, over no other, and return it.

    Args:
        project: of the run.
        series: what to draw.
        rows: the first step of it, counted from 0, and the one after the last.
        is_log: whether the scale is logarithmic.
        state: of the run.

    Raises:
        UserError: there is no step to draw, or the file cannot be written.
    """
    first, past = rows
    if past <= first:
        raise UserError(_("There is no step to draw yet"), _("save the chart when the run has made one"))
    steps = series.data.history.step
    with _styled():
        figure, axes = _figure(_("Training"), 1, 1, (12, 7), series.data.history, state)
        panels.chart(axes[0], series, first, past, is_log)
        name = f"chart_{series.measure}_by_{series.axis}_{steps[first]}-{steps[past - 1]}"
        return write_new_picture(figure, project.run_dir, name)


def _run(project: Project) -> tuple[RunHistory, RunState | None]:
    history = load_history(project)
    drawable = int(np.isfinite(history.loss).sum())
    if drawable < LEAST_DRAWN:
        problem = ngettext(
            "{file} holds {n} step to draw and a chart needs at least 2",
            "{file} holds {n} steps to draw and a chart needs at least 2",
            drawable,
        ).format(file=project.metrics_file, n=drawable)
        fix = _("train first: mqlora-tui train (about {few} make a useful chart)")
        raise UserError(problem, fix.format(few=units.steps(FEW_STEPS)))
    return history, known_state(project.state_file)


def _styled() -> AbstractContextManager[None]:
    from matplotlib import rc_context

    style: AbstractContextManager[None] = rc_context(STYLE)
    return style


def _figure(
    title: str,
    rows: int,
    columns: int,
    inches: tuple[float, float],
    history: RunHistory,
    state: RunState | None,
) -> "tuple[Figure, list[Axes]]":
    """Return an empty titled figure and its panels, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15, hspace=0.04, wspace=0.03)
    # A model's name may hold "$": it is text, not a formula.
    name = "   ".join(part for part in (title, one_line(state.model, 60) if state else "") if part)
    figure.suptitle(name, x=0.012, ha="left", fontsize=19, fontweight="bold", parse_math=False)
    colour = drawing.VERMILION if len(history) < FEW_STEPS else drawing.GREY
    figure.supxlabel(_note(history, state), x=0.012, ha="left", fontsize=12, color=colour, parse_math=False)
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _note(history: RunHistory, state: RunState | None) -> str:
    """Return the line below the charts: how far the run is and, if so, that it is too short."""
    total = max(state.total_steps if state else 0, int(history.step[-1]))
    note = _("Step {step:,} of {total:,}").format(step=int(history.step[-1]), total=total)
    if state:
        note += f"  ·  {one_line(state.updated[:16].replace('T', ' '))}"
    if len(history) < FEW_STEPS:
        few = _("Only {steps}: a run of at least {m} shows more.").format(
            steps=units.steps(len(history)), m=FEW_STEPS
        )
        note += f"  ·  ! {few}"
    return note
