"""A form that was changed is not left unasked, whichever way out is taken."""

from engine.config import TrainingConfig
from engine.project import Project
from tests.support.fake_chat import open_chat
from tests.support.fake_engine import sees, sees_no_more, wait_for
from tests.support.form import field, form, note
from tui.app.app import MqloraApp
from tui.app.screens.chat.chat import ChatScreen
from tui.app.screens.profile.config_form import ConfigForm
from tui.app.screens.shared.base import PlaceScreen
from tui.app.screens.shared.unsaved import UnsavedScreen

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

LEAVING = {
    "escape": "profile",
    "3": "data",
    "q": "",
    "ctrl+q": "",
    "leave": "profile",
    "palette": "report",
}
"""Ways out of the form, and the place each leads to; none where it leaves the app."""


async def leave(pilot: Pilot[int], way: str) -> None:
    """Leave the form with the keys off the text fields, where digits and q are no text."""
    screen = pilot.app.screen
    assert isinstance(screen, ConfigForm)
    button = screen.query_one("#leave", Button)
    button.focus()
    await wait_for(pilot, lambda: button.has_focus)
    if way == "palette":
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
        await pilot.press(*"report")
        await sees(pilot, "Go to Report")
        await pilot.press("enter")
    elif way == "leave":
        await pilot.click(button)
    else:
        await pilot.press(way)


def has_arrived(app: MqloraApp, place: str) -> bool:
    """Whether the app is at a place; with no place, whether it has been left."""
    if place:
        return isinstance(app.screen, PlaceScreen) and app.current_mode == place
    return not app.is_running or app.return_code is not None


@pytest.mark.parametrize(("way", "place"), LEAVING.items())
async def test_an_unchanged_form_is_left_at_once(app: MqloraApp, way: str, place: str) -> None:
    """A value typed anew is no change."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await form(pilot)
        seed = field(screen, "seed").editor
        assert isinstance(seed, Input)
        seed.value = "00"
        await leave(pilot, way)
        await wait_for(pilot, lambda: has_arrived(app, place))


@pytest.mark.parametrize("answer", ["enter", pytest.param("d", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("way", "place"), LEAVING.items())
async def test_a_changed_form_asks_before_it_is_left(
    app: MqloraApp, project: Project, way: str, place: str, answer: str
) -> None:
    """Stay keeps the form as it is; save and discard both go on to where the key leads."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await form(pilot)
        seed = field(screen, "seed").editor
        assert isinstance(seed, Input)
        seed.value = "7"
        await leave(pilot, way)
        await sees(pilot, "Save the changes?", "Enter Save d Discard Esc Stay")
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is screen)
        assert seed.value == "7" and not project.config_file.exists()
        await leave(pilot, way)
        await wait_for(pilot, lambda: isinstance(app.screen, UnsavedScreen))
        await pilot.press(answer)
        await wait_for(pilot, lambda: has_arrived(app, place))
    assert project.config_file.exists() == (answer == "enter")
    if answer == "enter":
        assert TrainingConfig.load(project.config_file).seed == 7


async def test_a_wrong_value_is_not_left_by_saving(app: MqloraApp) -> None:
    """Saving on the way out goes to the field instead of out."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await form(pilot)
        seed = field(screen, "seed").editor
        assert isinstance(seed, Input)
        seed.value = "seven"
        await leave(pilot, "3")
        await wait_for(pilot, lambda: isinstance(app.screen, UnsavedScreen))
        await pilot.press("ctrl+q", "enter")
        await wait_for(pilot, lambda: app.screen is screen and seed.has_focus)
        assert "✗ Value 'seven'" in note(field(screen, "seed"))


async def changed_settings(pilot: Pilot[int]) -> ChatScreen:
    """Open the settings of the replies and change one."""
    screen = await open_chat(pilot)
    await pilot.press("ctrl+t")
    await wait_for(pilot, lambda: isinstance(pilot.app.focused, Input))
    await pilot.press("end", "9")
    await sees(pilot, "2569")
    return screen


@pytest.mark.parametrize("key", ["escape", "ctrl+q"])
@pytest.mark.parametrize(("answer", "tokens"), [("enter", 2569), ("d", 256)])
async def test_changed_settings_of_replies_ask_before_they_are_left(
    app: MqloraApp, key: str, answer: str, tokens: int
) -> None:
    """Each answer does what it says, and the key what it is for."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await changed_settings(pilot)
        await sees(pilot, "Esc Leave")  # and not what becomes of the changes
        await pilot.press(key)
        await sees(pilot, "Save the changes?")
        await pilot.press("escape")
        await sees_no_more(pilot, "Save the changes?")
        await sees(pilot, "2569")
        await pilot.press(key)
        await sees(pilot, "Save the changes?")
        await pilot.press(answer)
        await wait_for(pilot, lambda: has_arrived(app, "chat" if key == "escape" else ""))
        assert screen.settings.max_tokens == tokens


async def test_settings_of_replies_typed_anew_are_left_at_once(app: MqloraApp) -> None:
    """They are no change."""
    async with app.run_test(size=(80, 24)) as pilot:
        await changed_settings(pilot)
        await pilot.press("backspace", "escape")
        await wait_for(pilot, lambda: has_arrived(app, "chat"))
