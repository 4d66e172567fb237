"""Places of the app, opened and filled as several tests need them."""

from engine.dataset.report import Fault
from tests.support.fake_engine import ready, shown, wait_for
from tui.app.screens.data.data import DataScreen

from textual.pilot import Pilot

EMPTY = Fault("train.jsonl", 12, None, "empty_completion", "error", "completion is empty", "write it")
LEAK = Fault("valid.jsonl", 5, None, "leak", "warning", "also in train (line 3)", "move or drop it")


async def opened(pilot: Pilot[int]) -> DataScreen:
    """Go to the data and wait for the report."""
    app = await ready(pilot)
    await pilot.press("3")
    await wait_for(pilot, lambda: app.data is not None and isinstance(app.screen, DataScreen))
    await wait_for(pilot, lambda: "train" in shown(app))
    assert isinstance(app.screen, DataScreen)
    return app.screen
