"""Charts that can be asked: the view, the cursor, and each key of them on the training screen."""

import re
from dataclasses import replace

from engine.analysis.chart_series import ChartData, series_of
from engine.training.history import RunHistory
from tests.support.fake_engine import sees, shown, wait_for
from tests.support.fake_run import append, metrics, write_run
from tests.support.training_screen import open_train
from tui.app.app import MqloraApp
from tui.app.screens.train.charts import Charts
from tui.app.screens.train.loss_plot import LossPlot
from tui.run.chart_view import LEAST_STEPS, ChartView
from tui.run.curves import curves_of

import numpy as np
import pytest


def test_a_long_run_keeps_its_extremes_in_each_column() -> None:
    """Against a search through all steps that fall into a column."""
    losses = np.random.default_rng(2).normal(2, 0.3, 100_000)
    losses[[7, 50_321, 99_998]] = 40.0, 0.001, 35.0
    steps = np.arange(1, len(losses) + 1)
    history = RunHistory(step=steps, loss=losses)
    series = series_of(ChartData(history, total_steps=len(losses)))
    curve = curves_of(series, ChartView(), 80).steps
    assert len(curve.x) <= 160
    size = -(-len(losses) // 80)
    for start in range(0, len(losses), size):
        part = losses[start : start + size]
        inside = (curve.x > start) & (curve.x <= start + size)
        assert (curve.y[inside].min(), curve.y[inside].max()) == (min(part), max(part))
    part = losses[50_300:50_340]
    zoomed = curves_of(series, ChartView(frozen=(50_300, 50_340)), 80)
    assert zoomed.steps.y.tolist() == part.tolist() and (zoomed.first, zoomed.last) == (50_301, 50_340)


def test_a_view_is_enlarged_moved_frozen_and_follows_again() -> None:
    """Around the cursor, never beyond the run, with the newest steps live and all others frozen."""
    view = ChartView().zoomed(True, 100)
    assert view.rows(100) == (50, 100) and view.rows(110) == (60, 110), "live"
    view = view.panned(-1, 100)
    assert view.rows(100) == view.rows(500) == (25, 75), "frozen"
    assert view.panned(1, 100) == ChartView(newest=50), "live again at the end"
    closer = replace(view, cursor=30).zoomed(True, 100)
    assert closer.rows(100) == (18, 43), "around the cursor"
    assert closer.zoomed(False, 100).zoomed(False, 100).zoomed(False, 100).is_whole
    assert view.held(100) == ChartView(newest=50)
    assert ChartView().held(100).frozen == (0, 100) and ChartView().held(100).held(200).is_whole
    assert view.rows(20) == (0, 20), "the run began anew"
    for count in (0, 1, LEAST_STEPS):
        assert ChartView().zoomed(True, count).rows(count) == (0, count)
        assert ChartView().third(count).zoomed(False, count).rows(count) == (0, count)


def test_a_cursor_stays_in_the_run_and_takes_the_view_along() -> None:
    """It begins at the newest step."""
    view = ChartView(newest=10).moved(-1, 100)
    assert view.cursor == 99
    view = view.moved(-12, 100)
    assert view.cursor == 87 and view.rows(100) == (87, 97)
    assert view.moved(-1000, 100).rows(100) == (0, 10) and view.moved(1000, 100).cursor == 99
    assert ChartView().moved(-1, 0).cursor is None


def test_smoothing_ends_where_it_changes_nothing() -> None:
    """From one step to all of the run."""
    data, view = ChartData(total_steps=1000), ChartView()
    spans = set()
    for by in (*[-1] * 20, *[1] * 40):
        view = view.smoothed(by, data)
        spans.add(data.span(view.smoothing))
    assert min(spans) == 1 and max(spans) == 1000 and abs(view.smoothing) < 10


@pytest.mark.slow
async def test_each_key_of_the_charts(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursor tells the numbers of its step; the part, the scale and the axis are said in words."""
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    write_run(app.project, "paused", 50)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await sees(pilot, "loss by step · whole run · smoothed over 10 steps", "◆ checkpoint", "★ best")
        await pilot.press("left")
        row = metrics(50)
        await sees(pilot, "▲ ★ ◆ step 50", f"loss {row.loss:.4g}", "val 1.371", "lr 3.33e-5")
        await pilot.press("home")
        await sees(pilot, "▲ step 1 ", "val –")
        await pilot.press("right", "up")
        await sees(pilot, "▲ step 2 ", "frozen: steps 1-25, 25 later")
        append(app.project, metrics(51))  # the run goes on
        await sees(pilot, "frozen: steps 1-25, 26 later", "step 51/60")
        for key, *texts in (
            ("space", "whole run"),
            ("z", "newest"),
            ("pageup", "frozen: steps 27-43"),
            ("pagedown", "newest 17 steps"),
            ("down", "newest 34 steps"),
            ("z", "whole run"),
            ("l", "log scale"),
            ("s", "smoothed over 20 steps"),
            ("S", "smoothed over 10 steps"),
            ("x", "loss by tokens", "800 tokens"),
            ("x", "loss by time", "step 2, 0:00:04"),
            ("g", "gradient norm by time", "norm 0.8"),
            ("g", "speed (tok/s) by time", "tok/s 212"),
            ("g", "loss by time"),
            ("p", "Saved checkpoints_qlora/chart_loss_by_time_1-51.png"),
            ("c", "Copied 51 steps as CSV."),
        ):
            await pilot.press(key)
            await sees(pilot, *texts)
        assert copied[0].splitlines()[0].startswith("step,tokens,elapsed_s,loss,") and len(copied) == 1
        await pilot.press("escape", "escape")
        await wait_for(pilot, lambda: "Copied" not in shown(app) and "▲" not in shown(app))
        plot = app.screen.query_one(LossPlot)
        await pilot.click(LossPlot, offset=(plot.size.width // 2, 3))
        await wait_for(pilot, lambda: re.search(r"▲ step (2[4-9]|3\d)", shown(app)))


@pytest.mark.parametrize("steps", [0, pytest.param(1, marks=pytest.mark.slow)])
async def test_keys_of_a_run_with_hardly_a_step(app: MqloraApp, steps: int) -> None:
    """Whatever is pressed, the app lives on."""
    write_run(app.project, "paused", max(steps, 1))
    if not steps:
        app.project.metrics_file.write_text("")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await sees(pilot, "whole run")
        await pilot.press(
            *"zsSlgxzzc", "up", "down", "left", "right", "home", "end", "pageup", "space", "space"
        )
        await sees(pilot, "log scale", "by tokens" if steps else "by step")
        assert app.screen.query_one(Charts).can("copy") == bool(steps)
