"""The screens as they are drawn, character by character; renewed as `tests/support/pictures.py` says."""

from collections.abc import Callable
from pathlib import Path

from tests.support.looks import faults_of, too_long
from tests.support.pictures import FOLDER, OPTION, picture_file
from tests.support.portuguese import pass_in_portuguese
from tests.support.situations import Size, app_in, visit

import pytest
from textual.app import App
from textual.widgets import TextArea

SIZES = ((80, 24), (120, 40), (200, 60))
DRAWN = {
    "finished": ("hardware", "profile", "train", "chat", "report", "history"),
    "paused": ("data",),
    "ready": ("train",),
    "running": ("train",),
}
"""Places by the situation in which they say most; the training screen also before and during a run."""
Compare = Callable[[App[int], str], str]


def _name(size: Size) -> str:
    return "{}x{}".format(*size)


def _named(mode: str, situation: str) -> str:
    return f"{mode}-{situation}"


@pytest.mark.parametrize(
    "size", [SIZES[0], *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES[1:])], ids=_name
)
@pytest.mark.parametrize(
    "situation",
    ["finished", *(pytest.param(name, marks=pytest.mark.slow) for name in DRAWN if name != "finished")],
)
async def test_the_screens_are_as_they_were_looked_at(
    situation: str, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, differences: Compare
) -> None:
    """In the language of this process."""
    found = []
    async with app_in(situation, tmp_path, size, monkeypatch) as pilot:
        for mode in DRAWN[situation]:
            await visit(pilot, mode)
            for field in pilot.app.screen.query(TextArea):
                field.cursor_blink = False
            await pilot.pause()
            found += [
                differences(pilot.app, _named(mode, situation)),
                *faults_of(pilot.app),
                *too_long(pilot.app),
            ]
    assert not any(found), "\n".join(found)


@pytest.mark.slow
def test_in_portuguese(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """All of them, in one process more."""
    chosen = [f"{__file__}::test_the_screens_are_as_they_were_looked_at"]
    pass_in_portuguese(tmp_path, *chosen, *([OPTION] if pytestconfig.getoption(OPTION) else []))


def test_there_is_no_picture_of_nothing() -> None:
    """Each is drawn by a test."""
    drawn = {
        picture_file(_named(mode, situation), *size, language)
        for situation, modes in DRAWN.items()
        for mode in modes
        for size in SIZES
        for language in ("en", "pt")
    }
    assert set(FOLDER.iterdir()) == drawn
