"""Data mended in place from the screen: other rows, single rows, the editor, and the way back."""

import os
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from engine.dataset.convert.clean import Cleaned
from engine.dataset.report import Fault
from engine.project import Project
from tests.support.fake_engine import FakeEngine, data_report, pretend, sees, wait_for
from tests.support.screens import EMPTY, LEAK, opened
from tests.support.tiny import owned_by
from tui.app.app import MqloraApp
from tui.app.screens.shared.note_line import NoteLine

import pytest
from textual.pilot import Pilot

MARK = Fault("train.jsonl", 1, None, "byte_order_mark", "note", "it begins with a mark", "nothing")


async def offers(pilot: Pilot[int], action: str) -> None:
    """Wait until an action is offered and no check is under way."""
    app = pilot.app
    assert isinstance(app, MqloraApp)
    await wait_for(pilot, lambda: app.screen.check_action(action, ()) and not app.data_progress)


async def offers_no_more(pilot: Pilot[int], *actions: str) -> None:
    """Wait until none of these actions is offered."""
    await wait_for(pilot, lambda: not any(pilot.app.screen.check_action(name, ()) for name in actions))


async def test_a_cleaned_copy_takes_the_place_of_the_data_and_gives_it_back(
    app: MqloraApp, engine: FakeEngine, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """f writes it, u uses it, z undoes that; each time the data is checked again."""
    before, mended = project.train_file.read_bytes(), project.data_dir / "mended"

    def clean_data(*_arguments: object, **_watch: object) -> Cleaned:
        mended.mkdir()
        (mended / "train.jsonl").write_text("new\n")
        return Cleaned(mended, 1, 0, ())

    monkeypatch.setattr("engine.dataset.convert.clean.clean_data", clean_data)
    engine.data = data_report(EMPTY)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await offers(pilot, "drop")
        assert not app.screen.check_action("use_rows", ())
        await pilot.press("f")
        await sees(pilot, "u puts it in the place of your files")
        pretend(app, "paused", 7)
        await wait_for(pilot, lambda: app.run_state.phase == "paused")
        await pilot.press("u")
        await sees(
            pilot, "The rows of mended are in use. What was there is in data/backup-1; z puts it back."
        )
        await sees(pilot, "goes on only with the rows it began with")
        assert project.train_file.read_text() == "new\n"
        assert (project.data_dir / "backup-1" / "train.jsonl").read_bytes() == before
        await wait_for(pilot, lambda: len(engine.data_configs) == 2 and not app.data_progress)
        assert not app.screen.check_action("use_rows", ())
        await pilot.press("z")
        await sees(pilot, "The last change of the data is undone.")
        assert project.train_file.read_bytes() == before and not app.can_undo
        await wait_for(pilot, lambda: len(engine.data_configs) == 3)


async def test_d_drops_the_row_of_the_fault_and_no_other(
    app: MqloraApp, engine: FakeEngine, project: Project
) -> None:
    """Not of a note, nor a row that was walked to; not lines that moved since the check, nor under a run."""
    engine.data = data_report(EMPTY, LEAK, MARK)
    rows = project.train_file.read_bytes().splitlines(keepends=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        await offers(pilot, "drop")
        await pilot.press("n")
        await offers_no_more(pilot, "drop")
        await pilot.press("b")
        await offers(pilot, "drop")
        await pilot.press("d")
        await sees(pilot, "Line 12 of train.jsonl is dropped.")
        assert project.train_file.read_bytes() == b"".join(rows[:11] + rows[12:])
        await wait_for(pilot, lambda: len(engine.data_configs) == 2 and not app.data_progress)
        project.train_file.write_text("other rows\n")
        await offers(pilot, "drop")
        await pilot.press("d")
        await sees(pilot, "The data has changed since it was checked.")
        await pilot.press("r")
        await wait_for(pilot, lambda: len(engine.data_configs) == 3 and not app.data_progress)
        await pilot.press("z")
        await sees(pilot, "train.jsonl was changed since then.", "Fix: what it was before is in")
        assert project.train_file.read_text() == "other rows\n"
        project.run_dir.mkdir()
        pretend(app, "idle")  # it would find the run below, and offer nothing, before the key is pressed
        with owned_by(project, os.getppid()):
            await offers(pilot, "drop")
            await pilot.press("d")
            await sees(pilot, "Training is running on the data.")
        pretend(app, "running")
        await offers_no_more(pilot, "drop", "edit")
        assert project.train_file.read_text() == "other rows\n"
        await pilot.press("end")
        await wait_for(pilot, lambda: screen._fault == MARK)
        pretend(app, "idle")
        await offers(pilot, "edit")
        await offers_no_more(pilot, "drop")


@pytest.mark.slow
async def test_imported_rows_take_the_place_of_the_data(app: MqloraApp, project: Project) -> None:
    """One button of the dialog; without it the data screen offers them still."""
    (project.root / "rows.csv").write_text("prompt,completion\n1,2\n3,4\n")
    before = project.train_file.read_bytes()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await wait_for(pilot, lambda: not app.data_progress)
        for is_used in (False, True):
            await pilot.press("i", *"rows.csv", "enter")
            await sees(pilot, "first rows")
            await wait_for(pilot, lambda: app.screen.query_one("#import-start").has_focus)
            await pilot.press("enter")
            await sees(pilot, "1 train, 1 valid", "Use these rows")
            await pilot.press(*["up"] * is_used, "enter")
            await wait_for(pilot, lambda: app.screen.is_current and len(app.screen_stack) == 1)
            if not is_used:
                await offers(pilot, "use_rows")
                assert project.train_file.read_bytes() == before
                await wait_for(pilot, lambda: not app.data_progress)
        await sees(pilot, "The rows of imported-2 are in use.")
        assert len(project.train_file.read_text().splitlines()) == 1
        assert (project.data_dir / "backup-1" / "train.jsonl").read_bytes() == before


async def test_a_change_that_cannot_be_made_is_met_with_a_reason(app: MqloraApp) -> None:
    """Nothing to take back, nothing to clean, no rows to use; while a run trains, that."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        for key, reason in {
            "z": "no change of the data",
            "f": "Nothing is wrong",
            "u": "No rows were",
        }.items():
            await pilot.press(key)
            await sees(pilot, reason)
        pretend(app, "running")
        await wait_for(pilot, lambda: app.run_state.is_training)
        await pilot.press("e")
        await sees(pilot, "Training is running on the data")
        await pilot.press("ctrl+z")
        await sees(pilot, "Ctrl+Z does not stop this app")


async def test_e_opens_the_editor_at_the_row(
    app: MqloraApp, engine: FakeEngine, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing one is told in a sentence; nothing changed is told too; what it wrote is checked again."""
    engine.data = data_report(EMPTY)
    commands: list[Sequence[str]] = []

    def start(command: Sequence[str], *_terminal: object) -> object:
        commands.append(command)
        if len(commands) > 1:
            project.train_file.write_text("written\n")
        import subprocess

        return subprocess.Popen(["true"])

    monkeypatch.setattr("tui.app.mend_state.start_editor", start)
    monkeypatch.setattr(app, "suspend", nullcontext)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await offers(pilot, "edit")
        monkeypatch.setenv("VISUAL", "no-such-editor")
        await pilot.press("e")
        await sees(pilot, "The editor 'no-such-editor', which VISUAL names, is not there.", "Fix: set VISUAL")
        monkeypatch.setenv("VISUAL", str(shutil.which("true")))
        await pilot.press("e")
        await sees(pilot, "The rows are the same, so nothing was changed.")  # which is no fault: no ✗
        assert app.notice and not app.screen.query_one(NoteLine).error
        assert len(engine.data_configs) == 1
        await pilot.press("e")
        await sees(pilot, "train.jsonl is changed. What was there is in data/backup-1")
        await wait_for(pilot, lambda: len(engine.data_configs) == 2)
        assert {Path(command[-1]) for command in commands} == {project.train_file}
