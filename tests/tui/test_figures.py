"""The numbers beside the plot, and that they say what the plot shows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from engine.analysis.chart_series import series_of
from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import Phase
from engine.training.history import load_history
from engine.training.lock import run_lock
from engine.training.lock_file import Owner
from engine.training.state import RunState
from engine.units import duration
from tests.support.fake_run import append, metrics, write_state
from tests.support.run_kinds import write_kind
from tui.app.screens.train.loss_chart import Colours, draw
from tui.app.screens.train.loss_legend import signs
from tui.app.screens.train.stats import groups_of
from tui.cli.monitor_view import view
from tui.run.chart_view import ChartView
from tui.run.curves import ChartCurves, curves_of
from tui.run.figures import RunFigures, figures_of
from tui.run.headline import progress
from tui.run.status import RunStatus
from tui.run.view import RunReader

import pytest
from rich.console import Console


def run_of(
    project: Project, losses: Sequence[float], val: dict[int, float]
) -> tuple[RunFigures, ChartCurves]:
    """Write a run and return its figures and curves."""
    write_state(project, "running", len(losses), initial_val_loss=4.2, best_step=None, best_val_loss=None)
    for step, loss in enumerate(losses, 1):
        append(project, metrics(step, loss, val.get(step)))
    view = RunReader(project).read()
    return view.figures, curves_of(series_of(view.charted), ChartView(), 78)


def shown(figures: RunFigures, key: str) -> tuple[str, str]:
    """Return a number and its note as they are shown."""
    return next((s.value, s.note) for _title, group in groups_of(figures) for s in group if s.key == key)


@pytest.mark.parametrize("losses", [[], [4.0], [4.0, 3.9]])
def test_the_validation_before_the_first_step_is_shown_as_it_is_drawn(
    project: Project, losses: list[float]
) -> None:
    """The plot has it from the beginning, and so has the number."""
    figures, curves = run_of(project, losses, {})
    assert curves.validation.y.tolist() == [4.2] and shown(figures, "validation")[0] == "4.20"


def test_the_newest_validation_is_shown(project: Project) -> None:
    """Not the best, and no longer the first."""
    figures, curves = run_of(project, [4.0, 3.0, 2.0], {2: 3.1, 3: 3.3})
    assert curves.validation.y[-1] == 3.3 and shown(figures, "validation")[0] == "3.30"


@pytest.mark.parametrize(
    ("losses", "arrow"),
    [
        ([4.0], ""),
        ([4.0, 3.5], "↓"),
        ([4.0, 4.5], "↑"),
        ([4.0, 4.001], "→"),
        ([4 - 0.1 * step for step in range(15)], "↓"),
        ([2.0] * 40, "→"),
        ([4 - 0.05 * step for step in range(40)] + [2.1 + 0.1 * step for step in range(20)], "↑"),
    ],
)
def test_the_arrow_says_where_the_smoothed_line_goes(
    project: Project, losses: list[float], arrow: str
) -> None:
    """From the second step on; one point has no direction."""
    figures, curves = run_of(project, losses, {})
    line = curves.smoothed.y[-10:]
    assert shown(figures, "training")[1] == arrow
    assert {"↓": line[-1] < line[0], "↑": line[-1] > line[0]}.get(arrow, True)


def test_a_newest_validation_that_was_not_finite_is_shown_as_that(tmp_path: Path) -> None:
    """Not the one before it: beside the plot, in it at the step, in its legend and in `monitor`."""
    project, _course = write_kind(tmp_path, "last validations not finite")
    history, state = load_history(project), RunState.load(project.state_file)
    assert state is not None
    look = RunReader(project).read()
    figures, series = look.figures, series_of(look.charted)
    assert shown(figures, "validation")[0] == "NaN" and shown(figures, "gap")[1] == "✗ diverged"
    curves = curves_of(series, ChartView(), 78)
    assert curves.failed.tolist() == [50, 60]
    assert curves_of(series, ChartView(frozen=(54, 60)), 78).failed.tolist() == [60]
    colours = Colours(*[(1, 1, 1)] * 6)
    rows = [line.plain for line in draw(curves, False, 78, 12, colours).lines]
    assert rows[0].count("×") == 2 and not any("×" in row for row in rows[1:])
    text = signs(figures.summary, look.charted, ChartView()).plain
    assert "× NaN" in text and "○ validation" in text and len(text) <= 78
    console = Console(width=120)
    with console.capture() as capture:
        console.print(view(project, state, history, None, ""))
    assert "validation not finite" in capture.get()


@pytest.mark.parametrize(("steps", "pace"), [(40, 8.0), (41, 8.0), (42, 2.0), (50, 2.0)])
def test_time_left_is_that_of_the_session_under_way(project: Project, steps: int, pace: float) -> None:
    """Steps before the pause took four times as long; they count until there are two of this session."""
    write_state(project, "running", steps, resumed_at=40)
    for step in range(1, steps + 1):
        elapsed = 8.0 * min(step, 40) + 2.0 * max(0, step - 40) + 30.0 * (step > 40)
        append(project, replace(metrics(step), elapsed_s=elapsed))
    history, state = load_history(project), RunState.load(project.state_file)
    figures = figures_of(project, history, state)
    if steps != 41:  # whose only step also got the model ready
        assert figures.seconds_per_step == pytest.approx(pace)
        assert figures.seconds_left == pytest.approx(pace * (60 - steps))
    console = Console(width=120)
    with console.capture() as capture:
        console.print(view(project, state, history, Owner(1, "here"), ""))
    assert figures.seconds_left is not None
    assert f"left {duration(figures.seconds_left)}" in capture.get()


def test_time_left_has_the_validations_to_come(project: Project) -> None:
    """Steps of 2 s, validations of 30 s every 5 steps: at step 10 of 12 another is under way, half made."""
    TrainingConfig(eval_every=5, num_epochs=1).save(project.config_file)
    for step in range(1, 10):
        row = metrics(step, val_loss=2.0 if step == 5 else None)
        append(project, replace(row, elapsed_s=2.0 * step + 30 * (step > 5)))
    phase = {"unvalidated": 10, "phase": "validating", "phase_done": 3, "phase_total": 6}
    write_state(project, "running", 9, total_steps=12, steps_per_epoch=12, **phase)
    with run_lock(project):
        history, state = load_history(project), RunState.load(project.state_file)
    figures = figures_of(project, history, state)
    assert figures.steps_made == 10 and figures.seconds_left == pytest.approx(2 * 2 + 30 + 15)
    told = progress(figures, Phase("validating", 3, 6), RunStatus("running"), datetime.now())
    assert told[0] == "validating 3/6" and told[2].startswith("step 10/12  83 %  left 49 s")


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("made", [2, 4])
def test_time_left_has_the_first_validation_for_the_coming_ones(
    project: Project, is_first: bool, made: int
) -> None:
    """30 s of it, made before the first of the steps of 2 s or after it, and no part of a step's time."""
    TrainingConfig(eval_every=0, num_epochs=1).save(project.config_file)
    for step in range(1, made + 1):
        append(project, replace(metrics(step), elapsed_s=2.0 * step + 30 * (is_first or step > 1)))
    write_state(project, "running", made, total_steps=10, steps_per_epoch=10)
    history, state = load_history(project), RunState.load(project.state_file)
    figures = figures_of(project, history, state)
    assert figures.seconds_per_step == pytest.approx(2)
    assert figures.seconds_left == pytest.approx((10 - made) * 2 + 30)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_pause_does_not_bring_the_first_validation_back(project: Project, is_first: bool) -> None:
    """Until the session that goes on has made two steps, all of the run counts."""
    TrainingConfig(eval_every=0, num_epochs=1).save(project.config_file)
    for step in range(1, 6):
        append(project, replace(metrics(step), elapsed_s=2.0 * step + 30 * (is_first or step > 1)))
    write_state(project, "paused", 5, total_steps=10, steps_per_epoch=10, resumed_at=5)
    history, state = load_history(project), RunState.load(project.state_file)
    figures = figures_of(project, history, state)
    assert figures.seconds_per_step == pytest.approx(2)
    assert figures.seconds_left == pytest.approx(5 * 2 + 30)


@pytest.mark.parametrize("is_first", [True, False])
def test_where_each_step_is_validated_the_time_left_has_it(project: Project, is_first: bool) -> None:
    """Steps of 2 s and validations of 30 s each, and the one of the base model besides."""
    TrainingConfig(eval_every=1, num_epochs=1).save(project.config_file)
    for step in (1, 2):
        elapsed = 2.0 * step + 30 * (step - 1) + 30 * (is_first or step > 1)
        append(project, replace(metrics(step, val_loss=2.0), elapsed_s=elapsed))
    write_state(project, "running", 2, total_steps=10, steps_per_epoch=10)
    history, state = load_history(project), RunState.load(project.state_file)
    assert figures_of(project, history, state).seconds_left == pytest.approx(8 * 32)
