"""Keys that come together are handled in the order in which they were typed."""

import asyncio
import time

from engine.config import TrainingConfig
from engine.dataset.convert.additions import Addition
from engine.project import Project
from tests.support.bursts import burst
from tests.support.fake_chat import FakeSession, open_chat
from tests.support.fake_engine import ready, sees, wait_for
from tests.support.form import field, form
from tui.app.app import MqloraApp
from tui.app.screens.chat.chat import ChatScreen
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.chat.right_answer import RightAnswerScreen
from tui.app.screens.chat.text_field import TextField
from tui.app.screens.profile.config_field import ConfigField
from tui.app.screens.shared.unsaved import FormResult

import pytest
from textual.events import Key, Paste
from textual.widget import Widget
from textual.widgets import Input


async def test_what_is_typed_right_before_saving_is_saved(app: MqloraApp, project: Project) -> None:
    """Letters, corrections and Ctrl+S in one burst."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await form(pilot)
        field(screen, "seed").editor.focus()
        await wait_for(pilot, lambda: field(screen, "seed").editor.has_focus)
        burst(app, "\x7f9\x7f123\x13")
        await wait_for(pilot, project.config_file.exists)
        assert TrainingConfig.load(project.config_file).seed == 123


async def test_values_go_to_the_fields_that_the_keys_between_them_lead_to(
    app: MqloraApp, project: Project
) -> None:
    """Down, Enter, Tab and up between values."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await form(pilot)
        first = next(row for row in screen.query(ConfigField) if row.field == "batch_size")
        first.editor.focus()
        await wait_for(pilot, lambda: first.editor.has_focus)
        burst(app, "\x7f1↓\x7f4\r\x7f\x7f\x7f64↑↑\x7f7\x13")
        await wait_for(pilot, project.config_file.exists)
        saved = TrainingConfig.load(project.config_file)
        assert (saved.batch_size, saved.gradient_accumulation, saved.max_seq_length) == (7, 4, 64)


async def test_what_follows_the_number_of_a_place_goes_there(
    app: MqloraApp,
    session: type[FakeSession],
) -> None:
    """A place that was never open, a question for it, and Enter."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        burst(app, "2345um e dois\r")
        await wait_for(pilot, lambda: session.asked)
        assert app.current_mode == "chat"
        assert session.asked[0][-1]["content"] == "um e dois"


async def test_a_place_may_take_its_time_at_the_first_visit(
    app: MqloraApp, session: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One piece of work longer than all patience, as on a machine that is busy, loses no key."""
    real = ChatScreen.__init__

    def slow(screen: ChatScreen) -> None:
        time.sleep(1.0)  # in the way of everything, as an import is
        real(screen)

    monkeypatch.setattr("tui.app.input_order.PATIENCE_S", 0.5)
    monkeypatch.setattr(ChatScreen, "__init__", slow)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        burst(app, "5um e dois\r")
        await wait_for(pilot, lambda: session.asked)
        assert session.asked[0][-1]["content"] == "um e dois"


async def test_enter_sends_what_was_typed_before_it(
    app: MqloraApp,
    session: type[FakeSession],
) -> None:
    """The second question stays in the line, for the first is being answered, and this is said."""
    session.endless = True
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        burst(app, "umx\x7f\rdois\r")
        await sees(pilot, "still answering")
        assert session.asked == [[{"role": "user", "content": "um"}]]
        assert screen.query_one(Prompt).text == "dois"
        await pilot.press("escape")
        await wait_for(pilot, lambda: not screen.is_replying)


async def test_a_paste_keeps_its_turn(app: MqloraApp, session: type[FakeSession]) -> None:
    """Between keys, and before the Enter behind it."""
    async with app.run_test(size=(80, 24)) as pilot:
        await open_chat(pilot)
        burst(app, "a")
        app.post_message(Paste("\rb"))
        burst(app, "c\r")
        await wait_for(pilot, lambda: session.asked)
        assert session.asked[0][-1]["content"] == "a\nbc"


async def test_a_correction_stays_where_it_was_made(app: MqloraApp) -> None:
    """Backspace between letters, in a field of Textual's own place too."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: isinstance(app.focused, Input))
        burst(app, "repx\x7fort")
        await wait_for(pilot, lambda: isinstance(app.focused, Input) and app.focused.value == "report")
        await sees(pilot, "Go to Report")


@pytest.mark.parametrize("key", ["x", "escape"])
async def test_a_key_that_never_settles_does_not_silence_the_others(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A widget that is always at work holds keys for a moment only."""
    monkeypatch.setattr("tui.app.input_order.PATIENCE_S", 0.05)
    monkeypatch.setattr("tui.app.input_order.is_waiting", lambda _pump: False)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press(key, "2")
        await wait_for(pilot, lambda: app.current_mode == "profile")


def compose_in(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the form of the right answer take so long until its widgets are there."""
    mount = RightAnswerScreen.mount_composed_widgets

    async def slow(screen: RightAnswerScreen, widgets: list[Widget]) -> None:
        await asyncio.sleep(seconds)
        await mount(screen, widgets)

    monkeypatch.setattr(RightAnswerScreen, "mount_composed_widgets", slow)


@pytest.mark.parametrize("composing_s", [0, 1.0], ids=["quick", "slow"])
@pytest.mark.parametrize("was_refused", [False, True], ids=["typed", "refused"])
@pytest.mark.parametrize("key", ["escape", "6", "ctrl+s"])
async def test_a_dialog_gets_no_key_before_it_is_composed(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch, key: str, was_refused: bool, composing_s: float
) -> None:
    """Neither one whose turn came as it opened, nor one that the widgets of the place did not take."""
    compose_in(composing_s, monkeypatch)
    monkeypatch.setattr("tui.app.input_order.PATIENCE_S", 0)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        saved: list[FormResult[Addition] | None] = []
        dialog = RightAnswerScreen([{"role": "user", "content": "um"}], "dois", as_turns=False)
        event = Key(key, key if key == "6" else None)
        if was_refused:
            event._set_forwarded()
            app.post_message(event)
        else:
            app._typed.append(event)
            app._begin_to_hand_on()
        app.push_screen(dialog, saved.append)
        if key == "6":
            await wait_for(pilot, lambda: dialog.query_one(TextField).text == "dois6")
        else:
            await wait_for(pilot, lambda: saved)
            assert bool(saved[0] and saved[0].values) == (key == "ctrl+s")


@pytest.mark.parametrize("action", ["app.go_to('report')", "app.do('train', 'train.start')", "app.quit"])
@pytest.mark.parametrize("composing_s", [0, 0.3], ids=["quick", "slow"])
async def test_a_command_that_comes_as_a_dialog_opens_leaves_it(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch, action: str, composing_s: float
) -> None:
    """As one chosen in the list of commands, over which the dialog waited to open."""
    compose_in(composing_s, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        dialog = RightAnswerScreen([{"role": "user", "content": "um"}], "dois", as_turns=False)
        app.push_screen(dialog, lambda result: app.run_in_turn(result.then) if result else None)
        app.run_in_turn(action)
        place = {"app.go_to('report')": "report", "app.do('train', 'train.start')": "train"}.get(action, "")
        await wait_for(pilot, lambda: app.current_mode == place if place else app.return_code is not None)
