"""The plot of the loss: what is drawn, and how little of it is sent again."""

from types import SimpleNamespace

from tests.support.themed import ThemedApp
from tui.app.screens.shared.lines import changed_span
from tui.app.screens.train import loss_plot
from tui.app.screens.train.loss_chart import Colours, View, draw, log_ticks, nice_ticks
from tui.app.screens.train.loss_plot import LossPlot
from tui.run.curves import Curve, LossCurves

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text
from textual.app import ComposeResult
from textual.geometry import Region
from textual.strip import Strip

COLOURS = Colours((1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5))


def curves(steps: int, total: int = 200) -> LossCurves:
    """A falling loss with two validations."""
    x = np.arange(1, steps + 1, dtype=np.float64)
    y = 1 + 3 * np.exp(-x / 40)
    val = np.array([0.0, steps / 2])
    return LossCurves(
        Curve(x, y), Curve(x, y), Curve(val, np.array([4.1, 2.5])), Curve(val[1:], np.array([2.5])), total
    )


class PlotApp(ThemedApp):
    """Only the plot."""

    def compose(self) -> ComposeResult:
        yield LossPlot()


@pytest.mark.parametrize(("width", "height"), [(78, 11), (84, 26), (190, 50), (20, 4)])
def test_fills_exactly_the_space_it_is_given(width: int, height: int) -> None:
    """Every line has the width of the widget, on small and on large terminals."""
    lines = draw(curves(100), "all", width, height, COLOURS)
    assert [line.cell_len for line in lines] == [width] * height


@pytest.mark.parametrize("view", ["all", "log"])
def test_shows_validation_and_best(view: View) -> None:
    """Validation points and the best one have symbols of their own."""
    text = "\n".join(line.plain for line in draw(curves(100), view, 78, 12, COLOURS))
    assert "★" in text
    assert "○" in text


def test_whole_run_leaves_room_for_the_steps_to_come() -> None:
    """At half of the steps the right half of the plot is empty."""
    lines = draw(curves(100, total=200), "all", 80, 12, COLOURS)
    assert all(not line.plain[45:].strip() for line in lines[:-2])


def test_recent_shows_the_last_third() -> None:
    """The axis of the last third begins after two thirds of the steps."""
    axis = draw(curves(150, total=200), "recent", 78, 12, COLOURS)[-1].plain.split()
    assert int(axis[0]) >= 100
    assert int(axis[-1]) <= 150


def test_log_scale_survives_a_loss_of_zero() -> None:
    """A perfect loss has no logarithm, and must not end the app."""
    zero = LossCurves(Curve(np.array([1.0, 2.0]), np.array([1.0, 0.0])), total_steps=2)
    assert len(draw(zero, "log", 78, 12, COLOURS)) == 12


def test_one_point_is_drawn() -> None:
    """The first step alone makes a picture."""
    text = "\n".join(line.plain for line in draw(curves(1), "all", 78, 12, COLOURS))
    assert "○" in text


def axes(drawn: list[Text]) -> tuple[list[float], list[str]]:
    """Return the numbers at the left and those below."""
    left = [line.plain.partition("┤")[0] for line in drawn if "┤" in line.plain]
    return [float(number) for number in left], drawn[-1].plain.split()


@pytest.mark.parametrize("view", ["all", "recent", "log"])
@pytest.mark.parametrize("loss", [0.0, 0.002, 0.31, 3.18, 3.1799, 11.0])
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_axes_make_sense_from_the_first_point_on(view: View, loss: float, steps: int) -> None:
    """A range around the point of at least a tenth of it, and no number twice."""
    x = np.arange(1, steps + 1, dtype=np.float64)
    first, line = Curve(np.array([0.0]), np.array([loss])), Curve(x, np.full(steps, loss))
    low_to_high, below = axes(draw(LossCurves(line, line, first, total_steps=75), view, 78, 12, COLOURS))
    low_to_high = low_to_high[::-1]
    assert len(low_to_high) >= 2 and low_to_high == sorted(set(low_to_high))
    assert len(set(below)) == len(below) >= 2
    height, most = low_to_high[-1] - low_to_high[0], max(loss, 0.02)
    assert max(loss, 0.1) * 0.04 <= height <= most and abs(low_to_high[0] - loss) < most


async def test_a_new_validation_is_drawn_at_once() -> None:
    """Its number stands beside the plot a second later."""
    app = PlotApp()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = app.query_one(LossPlot)
        plot.show(LossCurves(validation=Curve(np.array([0.0]), np.array([4.1])), total_steps=200))
        await app.workers.wait_for_complete()
        await pilot.pause()
        before = plot.text.count("○")
        plot.show(curves(50))
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
        plot.show(curves(300, total=1000))
        await app.workers.wait_for_complete()
        await pilot.pause()
        regions: list[Region] = []
        monkeypatch.setattr(plot, "refresh", lambda *changed: regions.extend(changed))
        plot.show(curves(306, total=1000))
        plot.look("all")
        await app.workers.wait_for_complete()
    assert 0 < sum(region.area for region in regions) < 120 * 40 / 20


async def test_growing_curves_wait_for_their_time() -> None:
    """The first picture appears at once; the next one is left for later."""
    app = PlotApp()
    async with app.run_test(size=(80, 24)) as pilot:
        plot = app.query_one(LossPlot)
        plot.show(curves(50))
        await app.workers.wait_for_complete()
        await pilot.pause()
        first = plot.text
        plot.show(curves(150))
        await app.workers.wait_for_complete()
        assert plot.text == first
        plot.look("log")
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

        def drawing(shown: LossCurves, *_looks: object) -> list[Text]:
            drawn.append(shown.last_step)
            return []

        monkeypatch.setattr(loss_plot, "draw", drawing)
        monkeypatch.setattr(loss_plot, "time", SimpleNamespace(monotonic=lambda: now))
        for waited, steps in ((0, 100), (5, 150), (3, 190), (5, 200), (29, 201), (31, 202)):
            now += waited
            plot.show(curves(steps, total=1600))
            await app.workers.wait_for_complete()
            await pilot.pause()
    assert drawn == [100, 150, 200, 202]
