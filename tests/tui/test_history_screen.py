"""The history: the runs in a list and a chart, their differences, and what can be done with each."""

import os
import shutil
from pathlib import Path
from queue import Queue

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.export.targets import ExportRequest, OnProgress
from engine.project import Project
from engine.runs.places import RunPlace, archived
from tests.support.fake_chat import FakeSession
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, sees_no_more, shown, wait_for
from tests.support.fake_run import answered, write_run
from tests.support.run_files import write_checkpoint
from tui.app.app import MqloraApp
from tui.app.jobs.export import Exporting
from tui.app.screens.chat.chat import ChatScreen
from tui.app.screens.export.export import ExportDialog
from tui.app.screens.history.history import HistoryScreen
from tui.app.screens.history.run_table import RunTable
from tui.app.screens.shared.line_input import LineInput

import pytest
from textual.events import Paste
from textual.pilot import Pilot


def past_run(project: Project, name: str, written: float, steps: int = 60, **settings: object) -> RunPlace:
    """Write an archived run; `written` is when, in seconds since 1970."""
    place = archived(project, name)
    write_run(place.project, "finished" if steps == 60 else "paused", steps)
    TrainingConfig.parse({"model": "toy", **settings}).save(place.project.config_file)
    os.utime(place.project.state_file, (written, written))
    return place


async def opened(pilot: Pilot[int], *texts: str) -> HistoryScreen:
    """Go to the history and wait until these texts are there."""
    app = await ready(pilot)
    await pilot.press("7")
    await wait_for(pilot, lambda: isinstance(app.screen, HistoryScreen))
    await sees(pilot, *texts)
    assert isinstance(app.screen, HistoryScreen)
    return app.screen


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_runs_are_listed_drawn_and_compared(app: MqloraApp, size: tuple[int, int]) -> None:
    """Only settings that differ are columns; two chosen runs are drawn as one and told apart."""
    past_run(app.project, "first try", 10.0, learning_rate=1e-4)
    past_run(app.project, "second try", 20.0, learning_rate=3e-4)
    async with app.run_test(size=size) as pilot:
        await opened(pilot, "second try", "learning_rate", "3e-4", "Best at its last step, 60.", "▁", "○")
        assert "batch_size" not in shown(app)
        await pilot.press("space", "down", "space")
        await sees(pilot, "━ a second try", "━ b first try", "d Differences", "a !  second try")
        await pilot.press("d")
        await sees(pilot, "1e-4", "3e-4", "best validation", "? one of them does not tell")
        await pilot.press("escape", "space")
        await sees_no_more(pilot, "b first try", "d Differences")
        await pilot.press("enter")
        await sees(pilot, "─ first try ─", "validation 4.20 before training", "Mean training loss")


@pytest.mark.slow
async def test_a_run_is_noted_renamed_and_deleted(app: MqloraApp) -> None:
    """The question names what goes; Escape keeps it. The present run is neither renamed nor deleted."""
    write_run(app.project, "finished")
    place = past_run(app.project, "first try", 10.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "present", "first try", "Best at its last step")
        assert not {"m", "D"} & set(app.screen.active_bindings)
        await pilot.press("n", *"as before", "enter")
        await sees(pilot, "✎ as before")
        await pilot.press("down")
        await sees_no_more(pilot, "as before")
        await pilot.press("space", "m", *["backspace"] * 9, *"renamed", "enter")
        await sees(pilot, "a !  renamed")
        await sees_no_more(pilot, "first try")
        assert not place.folder.exists()
        await pilot.press("D")
        await sees(pilot, "checkpoints_qlora/archive/renamed goes with all that", "is in it: 5 files")
        await pilot.press("escape", "D", "enter")
        await sees(pilot, "renamed is deleted.")
        await wait_for(pilot, lambda: not list(app.project.archive_dir.iterdir()))
        assert app.project.state_file.exists()


async def test_the_list_follows_its_files_and_shows_the_answers_of_a_run(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that comes while it is shown, and what an archived one answered."""
    monkeypatch.setattr("tui.app.screens.history.history.LOOK_SECONDS", 0.1)
    place = past_run(app.project, "first try", 10.0)
    answered(place.project, "Qual é a capital?", (None, "Não sei."), (20, "Lisboa."))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, "first try", "Best at its last step", "w Answers", "? Help", "q Quit")
        await pilot.press("w")
        await sees(pilot, "7 History: answers", "Question 1 of 1: Qual é a capital?", "Lisboa")
        await pilot.press("escape")
        past_run(app.project, "second try", 20.0, steps=30)
        await sees(pilot, "‖ second try")
        write_run(app.project, "failed", 10, reason="no memory")
        await sees(pilot, "✗ present")


async def test_a_line_that_cannot_be_taken_stays_to_be_mended(app: MqloraApp) -> None:
    """A bad or taken name, and a pasted text that has no room, are told in the box; nothing typed is lost."""
    write_run(app.project, "finished")
    for name, written in {"a": 20.0, "b": 10.0}.items():
        past_run(app.project, name, written)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "present", "Best at its last step")
        await pilot.press("r")
        await sees(pilot, "That cannot be done now: this run is over")
        await pilot.press("down", "m", "backspace", *"a/b", "enter")
        await sees(pilot, "✗ 'a/b' is no name for a folder; write at most 80")
        assert app.screen.query_one(LineInput).value == "a/b"
        app.post_message(Paste("x" * 700))
        await sees(pilot, "✗ There is room for 80 characters.")
        await pilot.press("backspace", "backspace", "enter")
        await wait_for(pilot, lambda: isinstance(app.screen, HistoryScreen))
        await pilot.press("m", "backspace", "b", "enter")
        await sees(pilot, "There is an archived run b already")


async def test_the_result_of_an_archived_run_answers(
    app: MqloraApp, session: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own adapter and model; Escape leads back to the list, and 5 to the present run."""
    write_run(app.project, "finished")
    place = past_run(app.project, "first try", 10.0)
    asked: list[Project] = []

    class Session(session):  # type: ignore[misc,valid-type]
        def __init__(self, project: Project, model: str, adapter: Path | None) -> None:
            asked.append(project)
            super().__init__(project, model, adapter)

    monkeypatch.setattr(ChatScreen, "create_session", staticmethod(Session))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot, "present", "first try", "Best at its last step")
        await pilot.press("down", "c")
        await sees(pilot, "first try/adapters/ (step 60)", "7 History: chat")
        await pilot.press(*"Olá", "enter")
        await sees(pilot, "A moeda é o iene.", "31 tok/s")
        assert asked == [place.project]
        await pilot.press("escape", "5")
        await sees(pilot, "5 Chat", "✓ adapters/ (step 60)")
        await pilot.press("escape", "7")
        await sees(pilot, "first try/adapters/")
        await pilot.press("escape", "escape")  # the line, then the place
        await wait_for(pilot, lambda: app.screen is screen)


async def test_an_archived_run_is_exported(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its own project sees it: its settings, its adapter, its receipt."""
    place = past_run(app.project, "first try", 10.0)
    asked: Queue[tuple[Project, ExportRequest]] = Queue()

    def refuse(project: Project, request: ExportRequest, _on_progress: OnProgress) -> Exporting:
        asked.put((project, request))
        raise UserError("no room")

    monkeypatch.setattr("tui.app.jobs.export.create_exporter", refuse)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "first try", "Best at its last step")
        await pilot.press("x")
        await wait_for(pilot, lambda: isinstance(app.screen, ExportDialog) and app.screen.focused)
        await pilot.press("enter")
        await sees(pilot, "no room")
    project, request = asked.get_nowait()
    assert project == place.project and request.target == "ollama"


async def test_an_unfinished_run_goes_on(app: MqloraApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in the archive is brought back first, if that is agreed to; a finished one does not go on."""
    write_run(app.project, "finished")
    place = past_run(app.project, "first try", 10.0, steps=30)
    write_checkpoint(place.project, 2, 31, {"config": {}})
    back: list[RunPlace] = []
    begun: list[tuple[object, ...]] = []
    monkeypatch.setattr("tui.app.screens.history.changing.bring_back", back.append)
    monkeypatch.setattr(app.training, "start", lambda *how: begun.append(how))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "present", "first try", "Best at its last step")
        assert "r" not in app.screen.active_bindings
        await pilot.press("down")
        await sees(pilot, "‖ Paused at step 30 of 60.", "‖ first try", "r Resume", "? Help")
        await pilot.press("r")
        await sees(pilot, "first try becomes the present run and goes on")
        await pilot.press("escape")
        await sees_no_more(pilot, "becomes the present run")
        assert not back
        await pilot.press("r", "enter")
        await wait_for(pilot, lambda: begun and app.current_mode == "train")
    assert back == [place]


async def test_damaged_and_hostile_folders_are_listed(app: MqloraApp) -> None:
    """Each with what is wrong with it in a sentence, and nothing that could be done with a run."""
    archived(app.project, HOSTILE.replace("/", "")).folder.mkdir(parents=True)
    os.utime(archived(app.project, HOSTILE.replace("/", "")).folder, (1.0, 1.0))
    archived(app.project, "link").folder.symlink_to(app.project.root)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "✗  link", "It is a link, which is not followed.")
        assert not {"enter", "c", "x", "r", "n", "m", "D", "space"} & set(app.screen.active_bindings)
        await pilot.press("down")
        await sees(pilot, "The folder is empty.", "D Delete", "archive/[INST] [bold]\\x1b[2J")
        assert "\x1b" not in shown(app)


@pytest.mark.slow
async def test_two_hundred_runs_are_listed_at_once(app: MqloraApp) -> None:
    """And read while one moves among them; without any the next key is named."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "No run yet. Press 4 to train.")
        first = past_run(app.project, "run 0", 1.0)
        for number in range(1, 200):
            copy = shutil.copytree(first.folder, archived(app.project, f"run {number}").folder)
            os.utime(copy / "training_state.json", (number, number))
        await pilot.press("1", "7", "end")
        await sees(pilot, "run 0", "run 4")
        await wait_for(pilot, lambda: app.screen.query_one(RunTable).record_of(first))
        await pilot.press("home")
        await sees(pilot, "run 199", "1.34")
