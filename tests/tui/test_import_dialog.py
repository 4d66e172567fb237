"""The dialog that imports rows: file, columns, what the first rows become, and what came of it."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event

from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.convert.import_table import ImportOptions, OnImportProgress
from engine.dataset.convert.imported import Imported
from engine.dataset.convert.tables import Table
from engine.errors import Cancelled, UserError
from engine.project import Project
from tests.support.fake_engine import EACH_SIZE, HOSTILE, sees, shown, wait_for
from tests.support.import_dialog import name_file, opened, table, text
from tui.app.app import MqloraApp
from tui.app.jobs import import_table as import_job

import pytest
from textual.message import Message
from textual.widgets import Input


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_rows_are_imported_with_enter_alone(
    app: MqloraApp, project: Project, size: tuple[int, int]
) -> None:
    """The file's name and three times Enter: found, imported, closed with the result."""
    table(
        project, "id;pergunta;resposta", "1;Olá?;Sim 👋", "2;Quem?;", *(f"{n};a{n};b{n}" for n in range(38))
    )
    async with app.run_test(size=size) as pilot:
        answers = await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "read as pairs: pergunta → prompt, resposta → completion" in text(app))
        assert "CSV with ;:" in text(app) and "not used: id" in text(app)
        assert "line 2 prompt Olá? completion Sim 👋 line 3 ✗ 'resposta' is empty" in text(app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "35 train, 4 valid; 1 rejected, see rejected.jsonl" in text(app))
        assert "rejected rows" in text(app) and "line 3 ✗ 'resposta' is empty" in text(app)
        assert "not used, and in how many rows: id (39)" in text(app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: bool(answers))
        [done] = answers
        assert done and done.folder == project.data_dir / "imported"
        assert len((done.folder / "train.jsonl").read_text().splitlines()) == 35


async def test_what_is_typed_ahead_of_a_slow_disk_is_done_when_it_has_answered(
    app: MqloraApp, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enter and Ctrl+S in one go: the rows are imported once the file is known."""
    table(project, "prompt,completion", "1,2", "3,4")
    gate, open_table = Event(), import_job.open_table

    def slow(path: Path, has_header: bool, skip: int, post: Callable[[Message], bool]) -> None:
        gate.wait(20)
        open_table(path, has_header, skip, post)

    monkeypatch.setattr(import_job, "open_table", slow)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await pilot.press("ctrl+s")
        gate.set()
        await wait_for(pilot, lambda: "1 train, 1 valid" in text(app))


async def test_importing_without_a_file_says_what_is_missing(app: MqloraApp) -> None:
    """Ctrl+S before anything was typed."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "No file is named; type its path and press Enter." in text(app))


async def test_misread_text_and_rows_left_out_are_reported(app: MqloraApp, project: Project) -> None:
    """Before the import and after it; what is left out on request is not marked as wrong."""
    rows: list[dict[str, object]] = [
        {"prompt": "Tem pÃ£o?", "completion": "Sim.", "label": True},
        {"prompt": "a", "completion": "b"},
    ]
    lines = [json.dumps(row) for row in (*rows, {**rows[1], "label": False})]
    table(project, *lines)
    (project.root / "rows.csv").rename(project.root / "rows.jsonl")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.jsonl")
        said = ("line 1 ! its text has 'Ã£': UTF-8 that was", "line 3 · 'label' says that the row is not")
        await wait_for(pilot, lambda: all(part in text(app) for part in said))
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "1 train, 1 valid; 1 row left out on request, see" in text(app))
        assert all(part in text(app) for part in ("rejected rows", *said))


async def test_a_file_that_cannot_be_read_is_explained(app: MqloraApp, project: Project) -> None:
    """And another can be named; one that is gone by the time of the import is refused then."""
    table(project, "prompt,completion", "a,b")
    async with app.run_test(size=(80, 24)) as pilot:
        answers = await opened(pilot)
        await name_file(pilot, "none.csv")
        await wait_for(pilot, lambda: "There is no file" in text(app))
        await pilot.press("end", "x")
        await wait_for(pilot, lambda: "There is no file" not in text(app))
        await name_file(pilot, "data")
        await wait_for(pilot, lambda: "is a folder; name a file in it" in text(app))
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "read as pairs" in text(app) and "folder" not in text(app))
        (project.root / "rows.csv").unlink()
        await pilot.press("enter")
        await wait_for(pilot, lambda: "No such file" in text(app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: answers == [None])


async def test_a_path_begins_at_home_or_in_the_project(
    app: MqloraApp, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shell reads it; quotes that a terminal pastes around it do no harm."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "at home.tsv").write_text("prompt\tcompletion\na\tb\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "'~/at home.tsv' ")
        await wait_for(pilot, lambda: "TSV: read as pairs" in text(app))


async def test_a_path_that_is_begun_can_be_completed(
    app: MqloraApp, project: Project, tmp_path: Path
) -> None:
    """The first name is offered and taken with the right arrow, folder by folder."""
    table(project, "prompt,completion", "a,b")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        field = app.screen.query_one("#import-path", Input)
        for begin, whole in (("../fa", "../farense/"), ("../farense/r", "../farense/rows.csv")):
            field.value, field.cursor_position = begin, len(begin)
            await sees(pilot, whole)
            await pilot.press("right")
            assert field.value == whole
        for value in ("none/", "\0", "nothing"):
            field.value = value
            await pilot.press("right")
            assert field.value == value
        field.value = "../farense/rows.csv"
        await pilot.press("enter")
        await wait_for(pilot, lambda: "read as pairs" in text(app))


async def test_escape_ends_an_import_and_leaves_the_dialog_open(
    app: MqloraApp, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it is is shown meanwhile; afterwards it can be started again."""

    def import_rows(
        _p: Project,
        _t: Table,
        _m: ColumnMapping,
        _w: ImportOptions,
        on_progress: OnImportProgress,
        cancel: Event,
    ) -> Imported:
        on_progress("read", 12_000)
        assert cancel.wait(20)
        raise Cancelled

    monkeypatch.setattr("engine.dataset.convert.import_table.import_rows", import_rows)
    table(project, "prompt,completion", "a,b")
    async with app.run_test(size=(80, 24)) as pilot:
        answers = await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "read as pairs" in text(app))
        for key in ("escape", "ctrl+c"):
            await pilot.press("enter")
            await wait_for(pilot, lambda: "12,000 rows read … Esc ends it." in text(app))
            await pilot.press(key)
            await wait_for(pilot, lambda: "Ended; nothing was written." in text(app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: answers == [None])


async def test_leaving_the_app_ends_the_import(
    app: MqloraApp, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread goes on writing for nobody."""
    started, ended = Event(), Event()

    def import_rows(
        _p: Project,
        _t: Table,
        _m: ColumnMapping,
        _w: ImportOptions,
        _on_progress: OnImportProgress,
        cancel: Event,
    ) -> Imported:
        started.set()
        if cancel.wait(20):
            ended.set()
        raise UserError("too late")

    monkeypatch.setattr("engine.dataset.convert.import_table.import_rows", import_rows)
    table(project, "prompt,completion", "a,b")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "read as pairs" in text(app))
        await pilot.press("enter")
        await wait_for(pilot, started.is_set)
    assert ended.wait(20)


async def test_hostile_names_and_cells_are_shown_as_they_are(app: MqloraApp, project: Project) -> None:
    """Neither markup nor control codes of a file reach the terminal, nor do those of its name."""
    name = "[bold]\x1b[2J.csv"
    (project.root / name).write_text(f'prompt,completion,"{HOSTILE}"\n"{HOSTILE}","{HOSTILE}",x\n')
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await name_file(pilot, name)
        await wait_for(pilot, lambda: text(app).count("[/INST] [bold]\\x1b[2J\\u202e") == 3)
        assert "\x1b" not in shown(app) and "\u202e" not in shown(app)
