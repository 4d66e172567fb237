"""Duplicates side by side: where both are, and what differs."""

import json
from dataclasses import replace

from engine.dataset.report import Fault, Place, Severity
from engine.project import Project
from tests.support.fake_engine import (
    HOSTILE,
    FakeEngine,
    data_report,
    ready,
    sees,
    shown,
    wait_for,
)
from tui.app.app import MqloraApp
from tui.app.screens.data.data import DataScreen
from tui.app.screens.data.pair_row import PairRow
from tui.app.screens.data.pairs import PairsScreen

import pytest
from textual.pilot import Pilot

ROWS = (
    ("Qual é a capital?", "Lisboa é a capital."),
    ("Qual é a capital?", "Lisboa é a capital."),
    ("Qual é a capital?", "Madrid é a capital."),
    ("Outra", HOSTILE),
)


def pair(kind: str, line: int, other: int, message: str, severity: Severity = "warning") -> Fault:
    """Return the fault of a row of train that is like another."""
    place = Place("train.jsonl", other)
    return Fault("train.jsonl", line, None, kind, severity, message, "choose", place)


PAIRS = (
    pair("duplicate", 2, 1, "the same as line 1"),
    pair("near_duplicate", 3, 2, "93% the same as line 2", "note"),
    pair("other_answer", 4, 1, "same prompt as line 1, other answer"),
)
SINGLE = Fault("train.jsonl", 9, None, "truncated", "warning", "cut at 384 tokens", "shorten it")


@pytest.fixture
def duplicates(engine: FakeEngine, project: Project) -> None:
    """Write rows that are like each other, and report them."""
    rows = [json.dumps({"prompt": prompt, "completion": answer}) for prompt, answer in ROWS]
    project.train_file.write_text("\n".join(rows))
    engine.data = data_report(SINGLE, *PAIRS)


def has_pairs(app: MqloraApp) -> bool:
    """Whether the screen offers to show duplicates."""
    return bool(app.screen.check_action("pairs", ()))


async def opened(pilot: Pilot[int], *keys: str) -> PairsScreen:
    """Go to the data, press `keys` there, and show the pairs."""
    app = await ready(pilot)
    await pilot.press("3")
    await wait_for(pilot, lambda: isinstance(app.screen, DataScreen) and has_pairs(app))
    await pilot.press(*keys, "p")
    await wait_for(pilot, lambda: isinstance(app.screen, PairsScreen) and "of 3" in shown(app))
    assert isinstance(app.screen, PairsScreen)
    return app.screen


@pytest.mark.parametrize(("width", "is_beside"), [(80, False), (99, False), (100, True), (120, True)])
async def test_rows_are_beside_each_other_where_there_is_room(
    app: MqloraApp, duplicates: None, width: int, is_beside: bool
) -> None:
    """From 100 columns on; below that one is above the other. Both places are told."""
    async with app.run_test(size=(width, 24)) as pilot:
        screen = await opened(pilot)
        one, other = screen.query(PairRow)
        assert (one.region.y == other.region.y) == is_beside
        assert "train.jsonl line 1" in str(one.border_title)
        assert "train.jsonl line 2" in str(other.border_title)


async def test_what_differs_is_marked_without_colours(app: MqloraApp, duplicates: None) -> None:
    """And of true duplicates it is said that nothing does; kind and likeness are in words."""
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "Both say the same, word for word." in shown(app))
        await sees(pilot, "! The same row twice, 1 of 3: the same as line 1")
        await pilot.press("n")
        await wait_for(pilot, lambda: "▸Madrid◂ é a capital." in shown(app))
        await sees(pilot, "▸Lisboa◂ é a capital.", "▸differs◂")
        await sees(pilot, "· Nearly the same row twice, 2 of 3: 93% the same as line 2")


async def test_n_and_b_walk_through_the_pairs_and_stop_at_the_ends(app: MqloraApp, duplicates: None) -> None:
    """Escape goes back to the data."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        for key, number in (("b", 1), ("n", 2), ("n", 3), ("n", 3), ("b", 2)):
            await pilot.press(key)
            await sees(pilot, f"{number} of 3:")
        await pilot.press("escape")
        assert isinstance(app.screen, DataScreen)


async def test_the_selected_fault_comes_first(app: MqloraApp, duplicates: None) -> None:
    """With another fault selected it is the first pair of all."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "down", "down", "down")
        await sees(pilot, "One prompt, two answers, 3 of 3: same prompt")
        await pilot.press("escape", "home", "p")
        await wait_for(pilot, lambda: "1 of 3" in shown(app))


async def test_hostile_rows_are_shown_as_they_are(app: MqloraApp, duplicates: None) -> None:
    """Markup and control codes neither break nor reach the terminal."""
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, "end")
        await wait_for(pilot, lambda: "2J" in shown(app))
        text = shown(app)
        assert "\\x1b" in text and "\\u202e" in text and "[bold" in text
        assert "\x1b" not in text and "\u202e" not in text


async def test_a_row_that_is_gone_is_said_to_be(
    app: MqloraApp, engine: FakeEngine, duplicates: None, project: Project
) -> None:
    """The file may have changed since it was read; the other row is shown."""
    engine.data = data_report(SINGLE, replace(PAIRS[0], line=99), *PAIRS[1:])
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: "train.jsonl has no row on line 99" in shown(app))
        await sees(pilot, "Lisboa é a capital.")
        project.train_file.unlink()
        await pilot.press("n")
        await wait_for(pilot, lambda: shown(app).count("Cannot read") == 2)


async def test_without_pairs_the_key_is_not_offered(app: MqloraApp, engine: FakeEngine) -> None:
    """There is nothing to show then."""
    engine.data = data_report(SINGLE)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await wait_for(pilot, lambda: "X-ray" in shown(app))
        await wait_for(pilot, lambda: not app.data_progress)
        assert not has_pairs(app)
        await pilot.press("p")
        assert isinstance(app.screen, DataScreen)
