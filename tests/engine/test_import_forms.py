"""Which form the rows of another file are in, and what they become."""

import csv
import json
from pathlib import Path
from typing import Any

from engine.dataset.convert.detect_columns import choose, detect
from engine.dataset.convert.tables import open_table
from engine.dataset.convert.try_rows import try_rows
from engine.dataset.jsonl.row import row_of
from engine.errors import UserError
from tests.support.import_files import became
from tests.support.tiny import write_rows

import pytest

MIXED = "Olá, João! Não à 1.ª 👩‍👩‍👧‍👦 שלום مرحبا 𝕏"


def array(path: Path, rows: list[Any]) -> Path:
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def table(path: Path, header: list[str], *rows: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def turns(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in pairs]


ALPACA: list[Any] = [
    {"instruction": "Traduz.", "input": MIXED, "output": "Sim."},
    {"instruction": "Conta até 3.", "input": "", "output": "1 2 3"},
    {"instruction": "Diz olá.", "output": "Olá!"},
    {"instruction": "Soma.", "input": 3, "output": "3"},
    {"instruction": "", "input": "x", "output": "y"},
    {"instruction": "x", "input": None, "output": None},
]
SHAREGPT: list[Any] = [
    {
        "id": "a",
        "conversations": [
            {"from": "system", "value": "Sê breve."},
            {"from": "human", "value": MIXED},
            {"from": "gpt", "value": "Bem."},
            {"from": "user", "value": "E tu?"},
            {"from": "bot", "value": "Também."},
        ],
    },
    {"id": "b", "conversations": [{"from": "human", "value": "Só isto"}]},
    {"id": "c", "conversations": [{"from": "alien", "value": "?"}, {"from": "gpt", "value": "!"}]},
    {"id": "d", "conversations": []},
    {"id": "e", "conversations": ["text"]},
    {"id": "f", "conversations": [{"from": "human", "value": 1}, {"from": "gpt", "value": "!"}]},
]
MESSAGES: list[Any] = [
    {"messages": turns(("user", MIXED), ("assistant", "Sim."))},
    {"messages": [*turns(("user", "a")), {"role": "assistant", "content": "b", "tool_calls": [{"id": 1}]}]},
    {"messages": turns(("user", "a"), ("assistant", "b")), "images": ["1.png"]},
    {"messages": turns(("user", "a"), ("assistant", ""))},
]


def test_alpaca_puts_the_input_below_the_instruction(tmp_path: Path) -> None:
    """With a blank line between them where there are both; numbers and null are rejected."""
    rows, rejected = became(array(tmp_path / "a.json", ALPACA), tmp_path / "p")
    assert rows == [
        {"prompt": f"Traduz.\n\n{MIXED}", "completion": "Sim."},
        {"prompt": "Conta até 3.", "completion": "1 2 3"},
        {"prompt": "Diz olá.", "completion": "Olá!"},
        {"prompt": "x", "completion": "y"},
    ]
    assert rejected == [(4, "wrong_type"), (6, "empty_field")]


def test_sharegpt_becomes_messages(tmp_path: Path) -> None:
    """Speakers get the names of roles; unknown ones and conversations without an answer are rejected."""
    rows, rejected = became(array(tmp_path / "s.json", SHAREGPT), tmp_path / "p")
    said = turns(
        ("system", "Sê breve."),
        ("user", MIXED),
        ("assistant", "Bem."),
        ("user", "E tu?"),
        ("assistant", "Também."),
    )
    assert rows == [{"messages": said}]
    assert rejected == [
        (2, "no_assistant_turn"),
        (3, "wrong_role"),
        (4, "wrong_type"),
        (5, "wrong_type"),
        (6, "wrong_type"),
    ]


def test_messages_stay_what_they_are(tmp_path: Path) -> None:
    """What is not supported in them is refused as the check of the data refuses it."""
    rows, rejected = became(array(tmp_path / "m.json", MESSAGES), tmp_path / "p")
    assert rows == MESSAGES[:1]
    assert rejected == [(2, "wrong_type"), (3, "unsupported_field"), (4, "empty_completion")]


def test_conversations_may_be_json_in_a_cell(tmp_path: Path) -> None:
    """As tables hold them; a system column goes before them."""
    cell = json.dumps(MESSAGES[0]["messages"])
    path = table(tmp_path / "m.csv", ["system", "Conversation"], ["Sê breve.", cell], ["", cell], ["", "Olá"])
    rows, rejected = became(path, tmp_path / "p")
    said = turns(("user", MIXED), ("assistant", "Sim."))
    assert rows == [{"messages": turns(("system", "Sê breve.")) + said}, {"messages": said}]
    assert rejected == [(4, "wrong_type")]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (["prompt", "completion"], "read as pairs: prompt → prompt, completion → completion"),
        (["id", "Question", "Answer"], "Question → prompt, Answer → completion; not used: id"),
        (["input", "output"], "read as pairs: input → prompt, output → completion"),
        (["prompt", "response"], "prompt → prompt, response → completion"),
        (
            ["instruction", "context", "response"],
            "read as Alpaca: instruction + context → prompt, response →",
        ),
        (
            ["Instrução", "Entrada", "Saída"],
            "read as Alpaca: Instrução + Entrada → prompt, Saída → completion",
        ),
        (["pergunta", "resposta"], "pergunta → prompt, resposta → completion"),
        (["system prompt", "question", "response"], "system prompt → system, question → prompt"),
        (["text", "source"], "read as plain text: text → text; not used: source"),
    ],
)
def test_usual_names_of_columns_are_understood(tmp_path: Path, header: list[str], words: str) -> None:
    """And it is said in words what was understood, and what is not used."""
    opened = open_table(table(tmp_path / "t.csv", header, ["x"] * len(header)))
    found = detect(opened)
    assert found is not None and words in found.words(opened.columns)


def test_of_two_columns_of_conversations_none_is_guessed(tmp_path: Path) -> None:
    """A usual name or a single such column is enough; of chosen and rejected answers one has to be named."""
    both = MESSAGES[0]["messages"]
    path = array(tmp_path / "a.json", [{"one": both, "other": both}])
    assert detect(open_table(path)) is None
    assert became(array(path, [{"saved": both}]), tmp_path / "p")[0] == MESSAGES[:1]
    worse = turns(("user", "a"), ("assistant", "x"))
    path = array(tmp_path / "b.json", [{"rejected": worse, "chosen": both}])
    with pytest.raises(UserError, match=r"answers to choose between; .* --answer chosen"):
        became(path, tmp_path / "p")
    assert became(path, tmp_path / "p", answer="chosen")[0] == MESSAGES[:1]


def test_a_system_column_makes_conversations_of_all_rows(tmp_path: Path) -> None:
    """Also of those whose cell is empty: rows in several forms would be warned of."""
    path = table(tmp_path / "t.csv", ["system", "question", "answer"], ["S", "a", "b"], ["", "c", "d"])
    rows, _rejected = became(path, tmp_path / "p")
    assert rows == [
        {"messages": turns(("system", "S"), ("user", "a"), ("assistant", "b"))},
        {"messages": turns(("user", "c"), ("assistant", "d"))},
    ]


def test_columns_can_be_named(tmp_path: Path) -> None:
    """What was found gives way to what is asked for."""
    path = table(tmp_path / "t.csv", ["prompt", "completion", "[bold]"], ["a", "b", "c"])
    rows = [
        became(path, tmp_path / "p", **columns)[0]
        for columns in (
            {"prompt": "[bold]", "completion": "prompt"},
            {"text": "completion"},
            {"system": "[bold]"},
        )
    ]
    assert rows == [
        [{"prompt": "c", "completion": "a"}],
        [{"text": "b"}],
        [{"messages": turns(("system", "c"), ("user", "a"), ("assistant", "b"))}],
    ]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {},
            "What the columns of .* mean is not known: a, b; name them: --prompt COLUMN --completion COLUMN",
        ),
        ({"prompt": "a"}, "A prompt needs a completion"),
        ({"completion": "a"}, "A prompt needs a completion"),
        ({"prompt": "a", "completion": "c"}, "has no column 'c'; name one of: a, b"),
        ({"text": "a", "system": "b"}, "Plain text has neither prompt nor system"),
    ],
)
def test_columns_that_say_nothing_have_to_be_named(
    tmp_path: Path, columns: dict[str, str], said: str
) -> None:
    """The refusal lists the columns and says how."""
    with pytest.raises(UserError, match=said):
        became(table(tmp_path / "t.csv", ["a", "b"], ["1", "2"]), tmp_path / "p", **columns)
    assert not (tmp_path / "p" / "data").exists()


def test_hostile_names_of_columns_are_shown_harmlessly(tmp_path: Path) -> None:
    """In the words about a table and in refusals."""
    names = ["\x1b[2J", "\u202eevil", "[/INST] [bold]", "prompt", "completion", ""]
    opened = open_table(table(tmp_path / "t.csv", names, ["x"] * len(names)))
    found = detect(opened)
    assert found is not None
    words = found.words(opened.columns)
    assert "\\x1b[2J, \\u202eevil, [/INST] [bold]" in words and "\x1b" not in words and "\u202e" not in words
    with pytest.raises(UserError) as refused:
        became(opened.source.path, tmp_path / "p", text="\x1b]0;x")
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "call",
    [
        {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        {"function_call": {"name": "f", "arguments": "{}"}},
    ],
)
def test_a_call_needs_no_content(tmp_path: Path, call: dict[str, Any]) -> None:
    """As OpenAI writes it, with null or without the key; the check and the import take it alike."""
    asked = {"role": "user", "content": "a?"}
    for content in ({}, {"content": None}):
        row = {"messages": [asked, {"role": "assistant", **content, **call}]}
        row_of(row, 1)
        write_rows(tmp_path / "t.jsonl", [row])
        rows, rejected = became(tmp_path / "t.jsonl", tmp_path / "p")
        assert rejected == [] and rows[0]["messages"][1]["tool_calls"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("says", [{}, {"loss": False}])
def test_a_conversation_that_begins_with_an_answer_is_judged_as_the_check_does(
    tmp_path: Path, says: dict[str, Any]
) -> None:
    """It is refused where that is to be learned: nothing asks for it; a system text before it is enough."""
    begin = {"from": "gpt", "value": "Bem-vindo.", **says}
    rest = [{"from": "human", "value": "a?"}, {"from": "gpt", "value": "b"}]
    system = {"from": "system", "value": "s"}
    write_rows(
        tmp_path / "t.jsonl", [{"conversations": turns} for turns in ([begin, *rest], [system, begin, *rest])]
    )
    found = open_table(tmp_path / "t.jsonl")
    rejected = [] if says else [(1, "no_question")]
    assert try_rows(found, choose(found)).rejected == len(rejected)
    assert became(tmp_path / "t.jsonl", tmp_path / "p")[1] == rejected
