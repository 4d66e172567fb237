"""The history: the runs in a list and a chart, their differences, and what can be done with each."""

import os
from pathlib import Path

from engine.project import Project
from engine.runs.places import RunPlace, archived
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.app.screens.history.history import HistoryScreen
from tui.app.screens.history.run_table import RunTable

import pytest
from textual.pilot import Pilot


def past_run(project: Project, name: str, written: float, steps: int = 60, **settings: object) -> RunPlace:
    """Write an archived run; `written` is when, in seconds since 1970."""
    from engine.config import TrainingConfig

    place = archived(project, name)
    write_run(place.project, "finished" if steps == 60 else "paused", steps)
    TrainingConfig.parse({"model": "toy", **settings}).save(place.project.config_file)
    os.utime(place.project.state_file, (written, written))
    return place


async def opened(pilot: Pilot[int], *texts: str) -> HistoryScreen:
    """Go to the history and wait until these texts are there."""
    app = await ready(pilot)
    await pilot.press("7")
    await wait_for(pilot, lambda: isinstance(app.screen, HistoryScreen))
    await sees(pilot, *texts)
    assert isinstance(app.screen, HistoryScreen)
    return app.screen


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_runs_are_listed_drawn_and_compared(app: MqloraApp, size: tuple[int, int]) -> None:
    """Only settings that differ are columns; two chosen runs are drawn as one and told apart."""
    past_run(app.project, "first try", 10.0, learning_rate=1e-4)
    past_run(app.project, "second try", 20.0, learning_rate=3e-4)
    async with app.run_test(size=size) as pilot:
        await opened(pilot, "second try", "learning_rate", "3e-4", "Best at its last step, 60.", "▁", "○")
        assert "batch_size" not in shown(app)
        await pilot.press("space", "down", "space")
        await sees(pilot, "━ a second try", "━ b first try", "d Differences", "a ✓  second try")
        await pilot.press("d")
        await sees(pilot, "1e-4", "3e-4", "best validation", "? one of them does not tell")
        await pilot.press("escape", "space")
        await sees_no_more(pilot, "b first try", "d Differences")
