"""The dialog that imports rows: file, columns, what the first rows become, and what came of it."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.convert.import_table import ImportOptions, OnImportProgress
from engine.dataset.convert.imported import Imported
from engine.dataset.convert.tables import Table
from engine.errors import Cancelled, UserError
from engine.project import Project
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, shown, wait_for
from tui.app.app import MqloraApp
from tui.app.jobs import import_table as import_job
from tui.app.screens.import_table.import_table import ImportDialog

import pytest
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input


def text(app: MqloraApp) -> str:
    """Return what stands in the dialog, without frames."""
    box = app.screen.query_one(".dialog").region
    strips = app.screen._compositor.render_strips()[box.y : box.bottom]
    lines = " ".join(strip.crop(box.x + 1, box.right - 1).text for strip in strips)
    return " ".join(part for part in lines.split() if part not in "│▼")


async def opened(pilot: Pilot[int]) -> list[Imported | None]:
    """Open the dialog; return the list that will hold its answer."""
    app = await ready(pilot)
    answers: list[Imported | None] = []
    await app.push_screen(ImportDialog(), answers.append)
    await pilot.pause()
    return answers


async def name_file(pilot: Pilot[int], path: str) -> None:
    """Type a path and press Enter."""
    field = pilot.app.screen.query_one("#import-path", Input)
    field.focus()
    field.value = path
    await pilot.press("enter")


def table(project: Project, *rows: str) -> None:
    (project.root / "rows.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


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


async def test_a_first_line_that_is_a_row_is_asked_about_and_kept(app: MqloraApp, project: Project) -> None:
    """The dialog says what it looks like; chosen with the keyboard, it is the first row."""
    table(project, "Quanto é 1 + 1?,São 2.", *(f"Quanto é {n} + 1?,São {n + 1}." for n in range(2, 30)))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "its first line reads like a row" in text(app))
        app.screen.query_one("#import-header").focus()
        await pilot.press("enter", "down", "enter")
        await wait_for(pilot, lambda: "line 1 prompt Quanto é 1 + 1? completion São 2." in text(app))
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "26 train, 3 valid" in text(app))


async def test_one_of_several_answers_is_chosen(app: MqloraApp, project: Project) -> None:
    """Rows with a chosen and a rejected answer say that a choice is wanted."""
    table(project, "prompt,chosen,rejected", *(f"p{n},bom {n},mau {n}" for n in range(20)))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "it holds answers to choose between" in text(app))
        app.screen.query_one("#import-answer").focus()
        await pilot.press("enter", "down", "enter")
        await wait_for(pilot, lambda: "prompt p0 completion bom 0" in text(app))
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "18 train, 2 valid" in text(app))
        rows = (project.data_dir / "imported" / "train.jsonl").read_text()
        assert "bom" in rows and "mau" not in rows


async def test_a_prompt_that_is_chosen_beside_an_answer_counts(app: MqloraApp, project: Project) -> None:
    """Also where another was found by its name."""
    table(project, "prompt,other,chosen,rejected", "p,o,good,bad")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "it holds answers to choose between" in text(app))
        app.screen.query_one("#import-answer").focus()
        await pilot.press("enter", "down", "enter")
        await wait_for(pilot, lambda: "prompt p completion good" in text(app))
        app.screen.query_one("#import-prompt").focus()
        await pilot.press("enter", "down", "down", "enter")
        await wait_for(pilot, lambda: "prompt o completion good" in text(app))


async def test_importing_without_a_file_says_what_is_missing(app: MqloraApp) -> None:
    """Ctrl+S before anything was typed."""
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "No file is named; type its path and press Enter." in text(app))


async def test_columns_are_chosen_with_the_keyboard(app: MqloraApp, project: Project) -> None:
    """Where their names say nothing; the preview follows, and nothing is imported before."""
    table(project, "a,b,c", "1,2,3")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "say which columns hold the prompt and the completion" in text(app))
        assert "line 2 a 1 b 2 c 3" in text(app)
        await pilot.press("ctrl+s")
        assert "A column is not chosen" in text(app)
        await pilot.press("enter", "down", "down", "down", "enter")
        await pilot.press("down", "down", "enter", "down", "enter")
        await wait_for(pilot, lambda: "read as pairs: c → prompt, a → completion; not used: b" in text(app))
        assert "prompt 3 completion 1" in text(app)
        await pilot.press("down", "enter", "down", "down", "enter")
        await wait_for(
            pilot, lambda: "b → system" in text(app) and "system 2 user 3 assistant 1" in text(app)
        )
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "1 train, 0 valid; no two rows differ" in text(app))
        [row] = (project.data_dir / "imported" / "train.jsonl").read_text().splitlines()
        assert [turn["content"] for turn in json.loads(row)["messages"]] == ["2", "3", "1"]


async def test_one_column_is_not_both_prompt_and_completion(app: MqloraApp, project: Project) -> None:
    """The model would learn to repeat; the refusal goes when another is chosen."""
    table(project, "a,b,c", "1,2,3")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "say which columns hold the prompt and the completion" in text(app))
        await pilot.press("enter", "down", "enter", "down", "down", "enter", "down", "enter")
        await wait_for(pilot, lambda: "read as pairs: a → prompt, a → completion" in text(app))
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "Column 'a' is chosen for both prompt and completion" in text(app))
        assert not (project.data_dir / "imported").exists()
        await pilot.press("enter", "down", "enter")
        await wait_for(pilot, lambda: "a → prompt, b → completion" in text(app))
        assert "is chosen for both" not in text(app)


async def test_two_questions_can_be_joined(app: MqloraApp, project: Project) -> None:
    """None is chosen for the user; what is left out by choosing one is named."""
    table(project, "query,response,instruction", "a,b,c")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "several columns may hold the prompt: choose or join them" in text(app))
        await pilot.press("enter", "down", "enter", "down", "down", "enter", "down", "down", "enter")
        await wait_for(pilot, lambda: "query + instruction → prompt, response → completion" in text(app))
        await wait_for(pilot, lambda: "prompt a⏎⏎c completion b" in text(app))
        await pilot.press("up", "up", "enter", "down", "enter")
        await wait_for(pilot, lambda: "left out as you chose: instruction" in text(app))


async def test_any_two_columns_can_be_joined(app: MqloraApp, project: Project) -> None:
    """Also one whose name has a comma; the same twice is refused in a word."""
    table(project, '"a, b",c,d', "1,2,3")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "say which columns hold the prompt and the completion" in text(app))
        await pilot.press("enter", "down", "enter", "down", "enter", "down", "enter")
        await pilot.press("down", "enter", "down", "down", "down", "enter", "ctrl+s")
        await wait_for(pilot, lambda: "Column 'a, b' is chosen twice for prompt" in text(app))
        await pilot.press("up", "enter", "down", "enter")
        await wait_for(pilot, lambda: "'a, b' + c → prompt, d → completion" in text(app))
        await wait_for(pilot, lambda: "prompt 1⏎⏎2 completion 3" in text(app))


async def test_a_title_above_the_names_is_asked_about(app: MqloraApp, project: Project) -> None:
    """Told which line seems to name the columns, and read from there once that is said."""
    table(project, "Perguntas de 2024", "pergunta,resposta", *(f"Quanto é {n}?,É {n}." for n in range(20)))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.csv")
        await wait_for(pilot, lambda: "line 2 seems to name the columns" in text(app))
        app.screen.query_one("#import-header").focus()
        await pilot.press("enter", "down", "down", "enter")
        await wait_for(pilot, lambda: "line 3 prompt Quanto é 0? completion É 0." in text(app))
        assert "is passed over; line 2 names the columns" in text(app)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "18 train, 2 valid" in text(app))


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


@pytest.mark.parametrize(
    ("rows", "said", "form"),
    [
        (
            [{"instruction": "a", "history": [["x", "y"]], "output": "c"}],
            "history + instruction → prompt",
            "alpaca",
        ),
        ([{"instruction": "a", "input": "b", "output": "c"}], "instruction + input → prompt", "alpaca"),
        (
            [{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}],
            "read as ShareGPT: conversations → turns",
            "sharegpt",
        ),
        ([{"text": "a"}], "read as plain text: text → text", "text"),
    ],
)
async def test_what_is_found_is_chosen(
    app: MqloraApp, project: Project, monkeypatch: pytest.MonkeyPatch, rows: list[Any], said: str, form: str
) -> None:
    """Each form arrives at the import as it was found."""
    asked: list[ColumnMapping] = []

    def import_rows(of: Project, _table: Table, mapping: ColumnMapping, *_rest: object) -> Imported:
        asked.append(mapping)
        return Imported(of.data_dir, 1234, 100, {}, ())

    monkeypatch.setattr("engine.dataset.convert.import_table.import_rows", import_rows)
    (project.root / "rows.json").write_text(json.dumps(rows))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await name_file(pilot, "rows.json")
        await wait_for(pilot, lambda: said in text(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "1,234 train, 100 valid." in text(app))
        assert [mapping.form for mapping in asked] == [form]


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
