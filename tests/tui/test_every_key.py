"""Every key that the app offers, pressed in every situation: it answers, says something, and looks right."""

from pathlib import Path

from tests.support.key_walk import Walk
from tests.support.looks import faults_of
from tests.support.portuguese import pass_in_portuguese
from tests.support.situations import SITUATIONS, Size
from tests.support.themed import ThemedApp
from tui.app.keys import PLACES

import pytest
from textual.app import ComposeResult
from textual.widgets import Static

SIZES = ((80, 24), (120, 40), (200, 60))
FEWEST = 150
"""Keys that are found in any situation; fewer would tell of a walk that does not find them."""
FULLEST = "finished"
"""The situation in which most can be done: at every size, and in Portuguese."""


def _name(size: Size) -> str:
    return "{}x{}".format(*size)


@pytest.mark.parametrize(
    ("situation", "size"),
    [
        *(pytest.param(name, SIZES[0], marks=pytest.mark.slow) for name in SITUATIONS),
        *(pytest.param(FULLEST, size, marks=pytest.mark.campaign) for size in SIZES[1:]),
    ],
    ids=lambda value: value if isinstance(value, str) else _name(value),
)
async def test_each_key_of_each_place(
    situation: str, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of each dialog that they open, in the language of this process."""
    walk = Walk(situation, size, tmp_path, monkeypatch)
    await walk.through(*PLACES)
    assert not walk.faults, "\n".join(walk.faults)
    assert walk.pressed >= FEWEST


async def test_each_key_of_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where it costs little."""
    walk = Walk("ready", SIZES[0], tmp_path, monkeypatch)
    await walk.through("report")
    assert not walk.faults, "\n".join(walk.faults)
    assert walk.pressed >= len(PLACES)


@pytest.mark.campaign
@pytest.mark.parametrize("size", SIZES, ids=_name)
def test_in_portuguese(size: Size, tmp_path: Path) -> None:
    """In a process that speaks it."""
    pass_in_portuguese(tmp_path, f"{__file__}::test_each_key_of_each_place[{FULLEST}-{_name(size)}]")


class Odd(ThemedApp):
    """A line that is cut within a word, and one that lies on another."""

    CSS = "#cut { width: 22; height: 1; text-wrap: nowrap; text-overflow: clip; } #on { offset-y: -1; }"

    def compose(self) -> ComposeResult:
        """Yield both, and what the second lies on."""
        yield Static("Write the built-in model", id="cut")
        yield Static("Data")
        yield Static("Training", id="on")


async def test_what_looks_wrong_is_seen() -> None:
    """The check above can fail."""
    async with Odd().run_test() as pilot:
        faults = list(faults_of(pilot.app))
    assert any("cut at 'mod'" in fault for fault in faults), faults
    assert any("lies on" in fault for fault in faults), faults
