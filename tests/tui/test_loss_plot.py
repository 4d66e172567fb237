"""The plot of the loss: what is drawn, and how little of it is sent again."""

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from engine.analysis.chart_series import ChartData, series_of
from engine.analysis.validations import Validations
from engine.training.history import RunHistory
from tests.support.themed import ThemedApp
from tui.app.screens.shared.axes import log_ticks, nice_ticks
from tui.app.screens.shared.lines import changed_span
from tui.app.screens.train import loss_plot
from tui.app.screens.train.loss_chart import Colours, Drawing, draw
from tui.app.screens.train.loss_plot import LossPlot
from tui.run.chart_view import ChartView
from tui.run.curves import ChartCurves, Curve, curves_of

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text
from textual.app import ComposeResult
from textual.geometry import Region
from textual.strip import Strip

COLOURS = Colours((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5), (6, 6, 6))
WHOLE = ChartView()


def run(steps: int, total: int = 200) -> ChartData:
    """A falling loss with a validation before it and one at its middle."""
    x = np.arange(1, steps + 1)
    history = RunHistory(
        step=x,
        loss=1 + 3 * np.exp(-x / 40),
        val_loss=np.where(x == steps // 2, 2.5, np.nan),
        grad_norm=np.full(steps, 0.5),
        tokens=np.full(steps, 400),
        tokens_per_second=np.full(steps, 200.0),
        elapsed_s=np.linspace(2.0, 2.0 * steps, steps),
        learning_rate=np.full(steps, 1e-4),
    )
    checked = Validations(x[x == steps // 2], np.full(int(steps > 1), 2.5), x[:0])
    return ChartData(history, checked, 4.1, total)


def drawn(data: ChartData, view: ChartView, width: int, height: int) -> list[Text]:
    """Draw a view of a run."""
    return draw(curves_of(series_of(data), view, width), view.is_log, width, height, COLOURS).lines


class PlotApp(ThemedApp):
    """Only the plot."""

    def compose(self) -> ComposeResult:
        yield LossPlot()


@pytest.mark.parametrize(("width", "height"), [(78, 11), (84, 26), (190, 50), (20, 4)])
def test_fills_exactly_the_space_it_is_given(width: int, height: int) -> None:
    """Every line has the width of the widget, on small and on large terminals."""
    lines = drawn(run(100), WHOLE, width, height)
    assert [line.cell_len for line in lines] == [width] * height


@pytest.mark.parametrize("height", [11, 17, 29, 50])
def test_ticks_are_equally_far_apart(height: int) -> None:
    """A row more or less only where there are at least four between them; three of them at least."""
    lines = drawn(run(100), WHOLE, 84, height)
    rows = [row for row, text in enumerate(lines) if "┤" in text.plain]
    apart = [after - before for before, after in itertools.pairwise(rows)]
    assert len(rows) >= 3
    assert max(apart) - min(apart) <= (min(apart) >= 4)


@pytest.mark.parametrize("is_log", [False, True])
def test_shows_validation_and_best(is_log: bool) -> None:
    """Validation points and the best one have symbols of their own."""
    text = "\n".join(line.plain for line in drawn(run(100), ChartView(is_log=is_log), 78, 12))
    assert "★" in text
    assert "○" in text


def test_whole_run_leaves_room_for_the_steps_to_come() -> None:
    """At half of the steps the right half of the plot is empty."""
    lines = drawn(run(100, total=200), WHOLE, 80, 12)
    assert all(not line.plain[45:].strip() for line in lines[:-2])


def test_the_newest_steps_end_where_the_run_does() -> None:
    """The axis of the last 50 steps begins before them, and leaves little room behind them."""
    axis = drawn(run(150, total=200), ChartView(newest=50), 78, 12)[-1].plain.split()
    assert int(axis[0]) in range(90, 102) and int(axis[-1]) in range(145, 161)


@pytest.mark.parametrize("is_log", [False, True])
def test_values_without_a_logarithm_or_beyond_all_others_are_survived(is_log: bool) -> None:
    """0 and less stand at the lower edge of a log scale; a spike and NaN are marked at the upper one."""
    y = np.concatenate(([np.nan], np.linspace(2, 1, 200), [0.0, -1.0, 1e38]))
    steps = np.arange(1.0, len(y) + 1)
    known = np.isfinite(y)
    curve = Curve(steps[known], y[known])
    spike = ChartCurves(curve, curve, Curve(), Curve(), steps[~known], 0.0, 210.0)
    lines = draw(spike, is_log, 78, 12, COLOURS).lines
    assert len(lines) == 12 and {"↑", "×"} <= set(lines[0].plain)
    assert not any(sign in line.plain for line in lines[1:] for sign in "↑×")


def axes(drawing: Drawing) -> tuple[list[float], list[str]]:
    """Return the numbers at the left and those below."""
    left = [line.plain.partition("┤")[0] for line in drawing.lines if "┤" in line.plain]
    return [float(number) for number in left], drawing.lines[-1].plain.split()


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.002, 0.31, 3.18, 3.1799, 11.0])
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_axes_make_sense_from_the_first_point_on(is_log: bool, loss: float, steps: int) -> None:
    """A range around the point of at least a tenth of it, and no number twice."""
    x = np.arange(1, steps + 1, dtype=np.float64)
    first, line = Curve(np.array([0.0]), np.array([loss])), Curve(x, np.full(steps, loss))
    low_to_high, below = axes(draw(ChartCurves(line, line, first, last=75), is_log, 78, 12, COLOURS))
    low_to_high = low_to_high[::-1]
    assert len(low_to_high) >= 2 and low_to_high == sorted(set(low_to_high))
    assert len(set(below)) == len(below) >= 2
    height, most = low_to_high[-1] - low_to_high[0], max(loss, 0.02)
    assert max(loss, 0.1) * 0.04 <= height <= most and abs(low_to_high[0] - loss) < most


@pytest.mark.parametrize(
    ("losses", "validations"),
    [([2.6, 2.598], [2.9, 2.4]), ([9.1, 3.2, 3.1, 3.0], [9.4, 2.9]), ([0.5] * 3, [1.4, 0.2])],
)
def test_the_first_points_stand_on_the_axis(losses: list[float], validations: list[float]) -> None:
    """Steps and validations: how far they usually lie apart is not known yet."""
    x = np.arange(1, len(losses) + 1, dtype=np.float64)
    line, checked = Curve(x, np.array(losses)), Curve(np.array([0.0, 12.0]), np.array(validations))
    lines = draw(ChartCurves(line, line, checked, last=24), False, 78, 12, COLOURS).lines
    text = "\n".join(line.plain for line in lines)
    assert "↑" not in text and text.count("○") == 2


async def test_a_new_validation_is_drawn_at_once() -> None:
    """Its number stands beside the plot a second later."""
    app = PlotApp()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = app.query_one(LossPlot)
        plot.show(ChartData(initial_val_loss=4.1, total_steps=200))
        await app.workers.wait_for_complete()
        await pilot.pause()
        before = plot.text.count("○")
        plot.show(run(50))
        await app.workers.wait_for_complete()
        assert plot.text.count("○") + plot.text.count("★") > before


def test_ticks_are_round_numbers_inside_the_range() -> None:
    """Ticks are 1, 2 or 5 times a power of ten apart."""
    assert nice_ticks(0.3, 4.4, 4) == [2.0, 4.0]
    assert nice_ticks(0.0, 600.0, 6) == [0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
    assert log_ticks(0.4, 30.0) == [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]


def test_only_changed_cells_count() -> None:
    """A changed character, or only its colour, is found at its place."""
    old, new = Strip(Text("abcdef").render(Console())), Strip(Text("abXdYf").render(Console()))
    red, blue = (Strip(Text.assemble("abc", ("d", c), "ef").render(Console())) for c in ("red", "blue"))
    assert changed_span(old, new) == (2, 3)
    assert changed_span(red, blue) == (3, 1)
    assert changed_span(old, old) == (0, 0)


async def test_new_steps_repaint_a_small_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two more steps in a growing run refresh far fewer cells than the plot has."""
    app = PlotApp()
    async with app.run_test(size=(120, 40)) as pilot:
        plot = app.query_one(LossPlot)
        plot.show(run(300, total=1000))
        await app.workers.wait_for_complete()
        await pilot.pause()
        regions: list[Region] = []
        monkeypatch.setattr(plot, "refresh", lambda *changed: regions.extend(changed))
        plot.show(run(306, total=1000))
        plot.look(replace(WHOLE, smoothing=1))
        await app.workers.wait_for_complete()
    assert 0 < sum(region.area for region in regions) < 120 * 40 / 20


async def test_growing_curves_wait_for_their_time() -> None:
    """The first picture appears at once; the next one is left for later."""
    app = PlotApp()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = app.query_one(LossPlot)
        plot.show(run(50))
        await app.workers.wait_for_complete()
        await pilot.pause()
        first = plot.text
        plot.show(run(150))
        await app.workers.wait_for_complete()
        assert plot.text == first
        plot.look(ChartView(is_log=True))
        await app.workers.wait_for_complete()
        assert plot.text != first


async def test_curves_that_grew_by_less_than_a_dot_are_not_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps that could not be told apart on the plot wait half a minute, others a few seconds."""
    app = PlotApp()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = app.query_one(LossPlot)
        drawn: list[float] = []
        now = 0.0

        def drawing(shown: ChartCurves, *looks: Any) -> Drawing:
            drawn.append(float(shown.steps.x[-1]))
            return draw(shown, *looks)

        monkeypatch.setattr(loss_plot, "draw", drawing)
        monkeypatch.setattr(loss_plot, "time", SimpleNamespace(monotonic=lambda: now))
        for waited, steps in ((0, 100), (5, 150), (3, 190), (5, 200), (29, 201), (31, 202)):
            now += waited
            plot.show(run(steps, total=1600))
            await app.workers.wait_for_complete()
            await pilot.pause()
    assert drawn == [100, 150, 200, 202]
