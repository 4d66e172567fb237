"""How much goes to the terminal: little at the start, nothing where nothing changes."""

from engine.project import Project
from tests.support.fake_engine import ready, sees, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp
from tui.app.screens.train.train import TrainScreen
from tui.terminal.picture import Picture

import pytest
from textual.drivers.headless_driver import HeadlessDriver

START_BYTES = 12_000
"""Of a terminal of 120x40, of whose 4800 cells each is painted once; 40 kB is what was promised."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of what a terminal of 120x40 is sent, as `PatientDriver` would."""
    sizes: list[int] = []
    picture = Picture(120, 40)

    def write(_driver: HeadlessDriver, data: str) -> None:
        if changes := picture.changes(data):
            sizes.append(len(changes.encode()))

    monkeypatch.setattr(HeadlessDriver, "is_headless", False)
    monkeypatch.setattr(HeadlessDriver, "write", write)
    return sizes


async def test_start_to_verdict_is_few_bytes(app: MqloraApp, sent: list[int]) -> None:
    """However often Textual paints the screen, a cell costs again only when it shows something else."""
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await sees(pilot, "Ready for", "The battery empties.")
        assert 4800 < sum(sent) < START_BYTES
        sent.clear()
        app.refresh(layout=True)  # as a terminal is sent everything that has fallen behind
        app.screen.refresh(repaint=True, layout=True)
        await pilot.pause()
        assert sum(sent) == 0


async def test_a_finished_run_sends_nothing(app: MqloraApp, project: Project, sent: list[int]) -> None:
    """Looking at its files again and again draws nothing."""
    write_run(project, "finished")
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await pilot.press("4")
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        await sees(pilot, "finished")
        await wait_for(pilot, lambda: not app.workers._workers)
        sent.clear()
        for _look in range(3):
            screen._tick()
            await wait_for(pilot, lambda: not app.workers._workers)
        assert sum(sent) == 0
