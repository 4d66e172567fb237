"""All that can be done is found by its name, done where it belongs, and within reach of the mouse."""

from engine.dataset.report import Fault
from engine.errors import UserError
from tests.support.fake_engine import SIZES, FakeEngine, data_report, ready, sees, shown, wait_for
from tests.support.screens import EMPTY
from tui.app.app import MqloraApp
from tui.app.commands import place_bindings
from tui.app.keys import PLACES
from tui.app.screens.profile.profile import ProfileScreen
from tui.app.screens.shared.copying import CopyScreen
from tui.app.screens.shared.help import HelpScreen
from tui.app.screens.shared.palette import Palette

import pytest
from textual.pilot import Pilot


def position(app: MqloraApp, text: str) -> tuple[int, int]:
    """Return where a text stands on the screen."""
    lines = shown(app).split("\n")
    y = next(index for index, line in enumerate(lines) if text in line)
    return lines[y].index(text), y


async def click(pilot: Pilot[int], text: str) -> None:
    """Click on a text."""
    app = pilot.app
    assert isinstance(app, MqloraApp)
    await sees(pilot, text)
    await pilot.click(offset=position(app, text))


async def test_every_action_of_every_place_is_listed(app: MqloraApp) -> None:
    """Each with its key, also those of places that were never open; each title once."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: isinstance(app.screen, Palette))
        commands = list(app.commands())
        titles = [command.title for command in commands]
        assert not [title for title in titles if titles.count(title) > 1]
        actions = {command.action for command in commands}
        for mode in PLACES:
            for binding in place_bindings(mode):
                assert any(f"'{mode}', '{binding.id}'" in action for action in actions), binding
        assert all(command.key for command in commands)
        for title in ("Data: Filter", "Report: Export", "Train: Zoom", "Help", "Look and signals", "Quit"):
            assert title in titles


@pytest.mark.slow
async def test_an_action_is_done_where_it_belongs(app: MqloraApp, engine: FakeEngine) -> None:
    """In a place that is not open, and, where it cannot be done, with a word."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p", *"customise", "enter")
        await sees(pilot, "batch_size")
        assert app.current_mode == "profile"
        await pilot.press("ctrl+p", *"import", "enter")  # over a form
        await sees(pilot, "Import")
        await wait_for(pilot, lambda: app.current_mode == "data")
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is app.screen_stack[0])
        await pilot.press("ctrl+p", *"train: zoom", "enter")
        await sees(pilot, "That cannot be done now")
        assert app.current_mode == "train"


async def test_places_keys_rows_and_cards_are_clicked(app: MqloraApp) -> None:
    """As if their keys were pressed."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        await click(pilot, "Power")
        await sees(pilot, "The battery empties")
        await pilot.click(offset=(position(app, " 2 3 4")[0] + 1, 0))
        await wait_for(pilot, lambda: isinstance(app.screen, ProfileScreen))
        await click(pilot, "SAFE")
        await wait_for(pilot, lambda: "▸ SAFE" in shown(app))
        await click(pilot, "? Help")
        await wait_for(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape")
        await click(pilot, "Enter Use it")
        await wait_for(pilot, lambda: app.current_mode == "data")


@pytest.mark.slow
async def test_a_line_of_its_own_names_the_places(app: MqloraApp) -> None:
    """From 120 columns on."""
    async with app.run_test(size=SIZES[1]) as pilot:
        await ready(pilot)
        assert all(f"{n} {name}" in shown(app) for n, name in enumerate(PLACES.values(), start=1))
        await click(pilot, "6 Report")
        await wait_for(pilot, lambda: app.current_mode == "report")


async def test_what_is_said_is_copied(
    app: MqloraApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdict, refusal with its command, fault with its file, paths; by number, Enter or a click."""
    engine.data = data_report(EMPTY, Fault("train.jsonl", 3, None, "x", "error", "\x1b[2J", "mend"))
    copied: list[str] = []
    monkeypatch.setattr(MqloraApp, "copy_to_clipboard", lambda _app, text: copied.append(text))

    async with app.run_test(size=SIZES[0]) as pilot:
        await ready(pilot)
        app.show_error(UserError("No model is here", "get one: mqlora-tui get"))
        await pilot.press("y")
        await wait_for(pilot, lambda: isinstance(app.screen, CopyScreen))
        await sees(pilot, "No model is here", "Ready for")
        await pilot.press("2")
        await wait_for(pilot, lambda: copied)
        assert copied == [f"mqlora-tui -C {app.project.root} get"] or copied[0].endswith(" get")
        await pilot.press("3")
        await wait_for(pilot, lambda: app.data is not None and EMPTY.message in shown(app))
        await pilot.press("y")
        await click(pilot, f"{app.project.train_file}"[:40])
        await wait_for(pilot, lambda: len(copied) == 2)
        assert not any("\x1b" in text for text in copied)
