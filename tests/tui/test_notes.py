"""Refusals and notices: in place, covering nothing, until they are dismissed."""

import threading
from collections.abc import Callable
from dataclasses import replace

from engine.chat_prompt import ContextFull
from engine.dataset.inspect.check import OnCheckProgress
from engine.dataset.report import Fault
from engine.errors import Cancelled, UserError
from engine.hardware.report import Check
from engine.project import Project
from tests.support.fake_chat import FakeSession, open_chat, send
from tests.support.fake_engine import (
    EACH_SIZE,
    FakeEngine,
    data_report,
    hardware_report,
    pretend,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tests.support.fake_run import FakeTrainer
from tui.app import notes
from tui.app.app import MqloraApp
from tui.app.messages import FitDone
from tui.app.screens.chat.chat import ChatScreen
from tui.app.screens.chat.prompt import Prompt
from tui.app.screens.shared.dialog import ConfirmScreen
from tui.run.controller import TrainingController

import pytest
from textual.pilot import Pilot
from textual.timer import Timer

NO_MODEL = Check("model", "Base model", "none", "error", "There is none", "get one")


@pytest.mark.parametrize("size", EACH_SIZE)
@pytest.mark.parametrize("place", ["1", "3"])
async def test_writing_the_sample_is_reported_in_place(
    app: MqloraApp,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    place: str,
) -> None:
    """Each stage, then the end, which stays until Escape; a key pressed twice writes it once."""
    engine.hardware, engine.data = hardware_report(NO_MODEL), data_report(model="")
    go_on = threading.Event()
    begun: list[Project] = []

    def install_demo(project: Project, progress: Callable[[str], None]) -> None:
        begun.append(project)
        progress("Asking the model a question")
        assert go_on.wait(60)

    monkeypatch.setattr("engine.model.demo.install_demo", install_demo)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pilot.press(place)
        await sees(pilot, "S Write sample")
        await pilot.press("S", "S")
        await sees(pilot, "Asking the model a question …")
        go_on.set()
        await sees(pilot, "The built-in model and the sample data are written.")
        await sees_no_more(pilot, "Asking the model")
        await pilot.press("2")
        await sees(pilot, "are written.", "BALANCED")
        await pilot.press("escape")
        await sees_no_more(pilot, "are written.")
        assert len(begun) == 1 and not app.screen.query("Toast")


async def test_what_was_measured_stays_in_place(app: MqloraApp) -> None:
    """Wherever the user is by then."""
    async with app.run_test() as pilot:
        await ready(pilot)
        app.post_message(FitDone(outcome="SAFE fits, 4.3 GB measured"))
        await sees(pilot, "SAFE fits, 4.3 GB measured.")
        await pilot.press("4", "1")
        await sees(pilot, "SAFE fits, 4.3 GB measured.")


async def test_a_refusal_below_a_dialog_covers_nothing_of_it_and_stays(app: MqloraApp) -> None:
    """It is seen with the dialog, and on the place when that is closed."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.push_screen(ConfirmScreen("Sure?", "A question.", "Yes it is", "No it is not"))
        await sees(pilot, "Esc No it is not")
        app.show_error(UserError("The disk is full", "free some space"))
        await sees(pilot, "Sure?", "A question.", "Esc No it is not", "The disk is full.", "free some space.")
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, ConfirmScreen))
        await sees(pilot, "The disk is full.", "free some space.")
        await pilot.press("escape")
        await sees_no_more(pilot, "The disk is full")


async def test_a_word_about_a_key_is_below_a_dialog_and_true_there(app: MqloraApp) -> None:
    """In the help q closes the help."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f1")
        await sees(pilot, "Esc closes")
        await pilot.press("ctrl+c")
        await sees(pilot, "Nothing is training. Press Ctrl+Q to leave.", "Esc closes")
        await pilot.press("escape")
        await sees_no_more(pilot, "Nothing is training")


async def test_a_word_about_a_key_goes_by_itself(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal beside it stays."""
    monkeypatch.setattr(notes, "MOMENT_S", 0.01)
    async with app.run_test() as pilot:
        await ready(pilot)
        app.show_error(UserError("The disk is full", "free some space"))
        app.show_notice("Copied.")
        await sees_no_more(pilot, "Copied.")
        assert "The disk is full" in shown(app)


async def test_its_moment_begins_when_it_is_drawn(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy for so long may draw it later."""
    begun = []
    set_timer = app.set_timer

    def begin(delay: float, callback: Callable[[], None]) -> Timer:
        begun.append("Copied." in shown(app))
        return set_timer(delay, callback)

    async with app.run_test() as pilot:
        await ready(pilot)
        monkeypatch.setattr(app, "set_timer", begin)
        app.show_notice("Copied.")
        await wait_for(pilot, lambda: begun)
    assert begun == [True]


async def test_a_cleaned_copy_is_reported_whole_in_place(app: MqloraApp, engine: FakeEngine) -> None:
    """The folder's path too, on a small terminal."""
    fault = Fault("train.jsonl", 3, None, "empty_prompt", "error", "no prompt", "write one")
    engine.data = data_report(fault)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await sees(pilot, "1 row left out")
        await pilot.press("f")
        await wait_for(pilot, lambda: "mended" in app.notice)
        folder = "".join(shown(app).split())
        assert "".join(str(app.project.data_dir / "mended").split()) in folder
        await sees(pilot, "what changed is in changes.jsonl there.")


async def test_escape_in_the_chat_ends_reply_then_message_then_writing(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """One at a time, and the help says which is next."""
    session.endless = True
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await send(pilot, screen, "um")
        await sees(pilot, "A ")
        app.show_error(UserError("The disk is full", "free some space"))
        await sees(pilot, "The disk is full", "Esc Stop")
        await pilot.press("escape")
        await wait_for(pilot, lambda: not screen.is_replying)
        await pilot.press("f1")
        await sees(pilot, "Esc Dismiss the message")
        await pilot.press("escape")
        await wait_for(pilot, lambda: app.screen is screen)
        await sees(pilot, "The disk is full")
        await pilot.press("escape")
        await sees_no_more(pilot, "The disk is full")
        assert isinstance(screen.focused, Prompt)
        await sees(pilot, "Esc Leave line")
        await pilot.press("escape")
        await wait_for(pilot, lambda: screen.focused is None)


async def test_that_training_keeps_the_model_is_said_as_long_as_it_does(
    app: MqloraApp, session: type[FakeSession]
) -> None:
    """Also while it is being paused; another refusal stays when the run is over."""
    gate = threading.Event()
    app.training = TrainingController(
        app.project,
        app.engine,
        lambda project, _config, stop, _mode, _half: FakeTrainer(project, stop, 3, gate),
    )
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        app.training.start(app.config)
        await send_in_vain(pilot, screen, "Training is running, so the model is busy")
        await pilot.press("ctrl+c")
        await sees(pilot, "Training is being paused, so the model is busy")
        await sees_no_more(pilot, "Training is running")
        gate.set()
        await sees_no_more(pilot, "the model is busy")
        app.training.start(app.config)
        app.show_error(UserError("The disk is full", "free some space"))
        await app.training.wait()
        await wait_for(pilot, lambda: not app.run_state.is_training)
        await sees(pilot, "The disk is full")


async def send_in_vain(pilot: Pilot[int], screen: ChatScreen, refusal: str) -> None:
    """Send a question that is refused."""
    screen.query_one(Prompt).text = "um"
    await pilot.press("enter")
    await sees(pilot, refusal)


async def test_a_new_conversation_is_not_too_long(
    app: MqloraApp, session: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+N, which the refusal asks for, takes it away."""

    def refuse(*_arguments: object) -> None:
        raise ContextFull(9000, 8192, is_grown=True)

    monkeypatch.setattr(session, "reply", refuse)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot)
        await send_in_vain(pilot, screen, "The conversation has 9,000 tokens")
        await pilot.press("ctrl+n")
        await sees_no_more(pilot, "9,000 tokens", "begin a new conversation")


async def test_that_the_data_are_read_is_said_as_long_as_they_are(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Escape ends the check, as the first line says, and with it the message."""

    def check_stages(
        _project: Project, _config: object, on_progress: OnCheckProgress, cancel: threading.Event
    ) -> object:
        yield replace(data_report(), stage="read")
        on_progress("counted", "train.jsonl", 120_000)
        assert cancel.wait(20)
        raise Cancelled

    monkeypatch.setattr("engine.dataset.inspect.check.check_stages", check_stages)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await sees(pilot, "line 120,000 … Esc ends it.")
        await pilot.press("i")
        await sees(pilot, "The data is being read.")
        await pilot.press("escape")
        await sees(pilot, "Checked in part; r checks the whole.")
        await sees_no_more(pilot, "The data is being read")


async def test_what_is_said_of_a_place_that_is_not_drawn_yet_is_seen_in_it(app: MqloraApp) -> None:
    """Of a damaged file at the start, with the number of a place typed ahead; Escape takes it away."""
    async with app.run_test() as pilot:
        await ready(pilot)
        app.switch_mode("profile")
        app.show_error(UserError("The file is damaged", "mend it"))
        await sees(pilot, "2 Profile", "The file is damaged")
        await pilot.press("escape")
        await sees_no_more(pilot, "The file is damaged")


async def test_a_refusal_goes_when_all_is_looked_at_again(app: MqloraApp) -> None:
    """That there is no model is no longer said once one came, though the place was out of sight."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("4")
        await sees(pilot, "Enter starts")
        app.show_error(UserError("No base model", "get one"))
        await sees(pilot, "No base model")
        await pilot.press("1")
        await wait_for(pilot, lambda: app.current_mode == "hardware")
        app.look_again("A model is there.")
        await pilot.press("4")
        await sees(pilot, "A model is there.", "Enter starts")
        await sees_no_more(pilot, "No base model")


async def test_a_profile_may_be_changed_when_training_is_over(app: MqloraApp) -> None:
    """What was in the way is no longer said."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        pretend(app, "running")
        await pilot.press("2")
        await sees(pilot, "BALANCED")
        await pilot.press("right", "enter")
        await sees(pilot, "Training is running with other values")
        pretend(app, "paused", 30)
        await sees_no_more(pilot, "Training is running with other values")
