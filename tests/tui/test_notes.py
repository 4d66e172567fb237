"""Refusals and news: in place, covering nothing, until they are dismissed."""

import threading
from collections.abc import Callable

from engine.dataset.report import Fault
from engine.errors import UserError
from engine.hardware.report import Check
from engine.project import Project
from tests.tui.fake_engine import (
    SIZES,
    FakeEngine,
    data_report,
    hardware_report,
    ready,
    sees,
    sees_no_more,
    shown,
    wait_for,
)
from tui import notes
from tui.app import MqloraApp
from tui.messages import FitDone
from tui.screens.confirm import ConfirmScreen

import pytest

NO_MODEL = Check("model", "Base model", "none", "error", "There is none", "get one")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", ["1", "3"])
async def test_writing_the_sample_is_told_in_place(
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
        await sees(pilot, "w Write sample")
        await pilot.press("w", "w")
        await sees(pilot, "Asking the model a question …")
        go_on.set()
        await sees(pilot, "The built-in model and the sample data are written.")
        await sees_no_more(pilot, "Asking the model")
        await pilot.press("2")
        await sees(pilot, "are written.", "BALANCED")
        await pilot.press("escape")
        await sees_no_more(pilot, "are written.")
        assert len(begun) == 1 and not app._notifications


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
    monkeypatch.setattr(notes, "_MOMENT_S", 0.01)
    async with app.run_test() as pilot:
        await ready(pilot)
        app.show_error(UserError("The disk is full", "free some space"))
        app.tell("Copied.")
        await sees_no_more(pilot, "Copied.")
        assert "The disk is full" in shown(app)


async def test_a_mended_copy_is_told_whole_in_place(app: MqloraApp, engine: FakeEngine) -> None:
    """The folder's path too, on a small terminal."""
    fault = Fault("train.jsonl", 3, None, "empty_prompt", "error", "no prompt", "write one")
    engine.data = data_report(fault)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        await sees(pilot, "1 row left out")
        await pilot.press("f")
        await wait_for(pilot, lambda: "mended" in app.news)
        folder = "".join(shown(app).split())
        assert "".join(str(app.project.data_dir / "mended").split()) in folder
        await sees(pilot, "what changed is in changes.jsonl there.")
