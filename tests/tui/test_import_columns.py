"""What the columns of a file mean, in the import dialog: found, asked about, chosen, joined."""

import json
from typing import Any

from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.convert.imported import Imported
from engine.dataset.convert.tables import Table
from engine.project import Project
from tests.support.fake_engine import wait_for
from tests.support.import_dialog import name_file, opened, read_rows, table, text
from tui.app.app import MqloraApp

import pytest


async def test_a_first_line_that_is_a_row_is_asked_about_and_kept(app: MqloraApp, project: Project) -> None:
    """The dialog says what it looks like; chosen with the keyboard, it is the first row."""
    table(project, "Quanto é 1 + 1?,São 2.", *(f"Quanto é {n} + 1?,São {n + 1}." for n in range(2, 30)))
    async with app.run_test(size=(80, 24)) as pilot:
        await read_rows(pilot)
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
        await read_rows(pilot)
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
        await read_rows(pilot)
        await wait_for(pilot, lambda: "it holds answers to choose between" in text(app))
        app.screen.query_one("#import-answer").focus()
        await pilot.press("enter", "down", "enter")
        await wait_for(pilot, lambda: "prompt p completion good" in text(app))
        app.screen.query_one("#import-prompt").focus()
        await pilot.press("enter", "down", "down", "enter")
        await wait_for(pilot, lambda: "prompt o completion good" in text(app))


async def test_columns_are_chosen_with_the_keyboard(app: MqloraApp, project: Project) -> None:
    """Where their names say nothing; the preview follows, and nothing is imported before."""
    table(project, "a,b,c", "1,2,3")
    async with app.run_test(size=(80, 24)) as pilot:
        await read_rows(pilot)
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
        await read_rows(pilot)
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
        await read_rows(pilot)
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
        await read_rows(pilot)
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
        await read_rows(pilot)
        await wait_for(pilot, lambda: "line 2 seems to name the columns" in text(app))
        app.screen.query_one("#import-header").focus()
        await pilot.press("enter", "down", "down", "enter")
        await wait_for(pilot, lambda: "line 3 prompt Quanto é 0? completion É 0." in text(app))
        assert "is passed over; line 2 names the columns" in text(app)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "18 train, 2 valid" in text(app))


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
