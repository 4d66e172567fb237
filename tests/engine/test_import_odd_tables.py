"""Tables as people have them: other encodings, delimiters and headers, histories and chosen answers."""

import json
from pathlib import Path
from typing import Any

from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.records import Record
from engine.dataset.convert.tables import open_table
from engine.dataset.convert.written_row import written_row
from engine.errors import UserError
from tests.support.tiny import write_rows

import pytest

PAIR = {"prompt": "Tem pão?", "completion": "Sim, é fresco."}


def became(path: Path, has_header: bool = True, **columns: str) -> list[dict[str, Any]]:
    """What the first rows of a file are written as."""
    table = open_table(path, has_header)
    mapping = choose(table, **columns)
    records = [item for item in table.sample if isinstance(item, Record)]
    return [json.loads(written_row(record, mapping, 1)[0]) for record in records]


def test_lines_of_a_cell_end_as_those_of_a_row_on_every_system(tmp_path: Path) -> None:
    """A table that Windows has written: no carriage return is learned."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'prompt,completion\r\n"um\r\ndois",tr\xc3\xaas\r\n')
    assert became(path) == [{"prompt": "um\ndois", "completion": "três"}]


@pytest.mark.parametrize(
    "content",
    [
        "pergunta;resposta\nTem pão?;Sim, é fresco.\n".encode("utf-16"),
        "pergunta;resposta\nTem pão?;Sim, é fresco.\n".encode("cp1252"),
        "sep=;\r\npergunta;resposta\r\nTem pão?;Sim, é fresco.\r\n".encode(),
        "Perguntas|Respostas\nTem pão?|Sim, é fresco.\n".encode(),
        'frage, antwort\n"Tem pão?", "Sim, é fresco."\n'.encode(),
        "| Pergunta | Resposta |\n|:---|---:|\n| Tem pão? | Sim, é fresco. |\n".encode(),
        "Pergunta | Resposta\n---|---\nTem pão?|Sim, é fresco.\n".encode(),
    ],
    ids=["utf-16", "cp1252", "sep", "bars and plurals", "blank before a quote", "Markdown", "bare Markdown"],
)
def test_an_odd_table_is_read_as_it_is_meant(tmp_path: Path, content: bytes) -> None:
    """Letters, commas and quotes are those that its author sees."""
    (tmp_path / "t.csv").write_bytes(content)
    assert became(tmp_path / "t.csv") == [PAIR]


def test_a_table_without_a_header_says_so(tmp_path: Path) -> None:
    """Its first row is never lost for a header."""
    path = tmp_path / "t.csv"
    path.write_text('Tem pão?,"Sim, é fresco."\nTem bar?,Não.\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"looks like a row.*--no-header"):
        became(path)
    assert became(path, has_header=False) == [PAIR, {"prompt": "Tem bar?", "completion": "Não."}]


SAID = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


@pytest.mark.parametrize(
    ("row", "columns", "expected"),
    [
        ({"question": "q", "context": "c", "answer": "a"}, {}, {"prompt": "q\n\nc", "completion": "a"}),
        ({"prompt": "q", "input": "c", "output": "a"}, {}, {"prompt": "q\n\nc", "completion": "a"}),
        (
            {"instruction": "c", "output": "d", "history": [["a", "b"]]},
            {},
            {"messages": [*SAID, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]},
        ),
        (
            {"interactions": [{"is_user": True, "text": "a"}, {"is_user": False, "text": "b"}]},
            {},
            {"messages": SAID},
        ),
        (
            {"messages": SAID[:1], "chosen": SAID[1], "rejected": {"role": "assistant", "content": "x"}},
            {"answer": "chosen"},
            {"messages": SAID},
        ),
        (
            {"prompt": "a", "chosen": "b", "rejected": "x"},
            {"answer": "chosen"},
            {"prompt": "a", "completion": "b"},
        ),
    ],
)
def test_other_forms_become_rows(
    tmp_path: Path, row: dict[str, Any], columns: dict[str, str], expected: dict[str, Any]
) -> None:
    """What belongs to the question goes into it, and the answer that was chosen is learned."""
    write_rows(tmp_path / "t.jsonl", [row])
    assert became(tmp_path / "t.jsonl", has_header=True, **columns) == [expected]


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": "a", "completion": "a"},
        {"prompt": "a", "completion": "b", "system": "a"},
        {"prompt": "b", "answer": "b"},
        {"system": "prompt"},
    ],
)
def test_a_column_is_one_thing_only(tmp_path: Path, columns: dict[str, str]) -> None:
    """A model would learn to repeat what it is asked."""
    names = ("a", "b") if "a" in columns.values() or "b" in columns.values() else ("prompt", "completion")
    write_rows(tmp_path / "t.jsonl", [dict(zip(names, ("Tem pão?", "Sim."), strict=True))])
    with pytest.raises(
        UserError, match=r"Column '(a|b|prompt)' is chosen for both .*; choose another column"
    ):
        became(tmp_path / "t.jsonl", has_header=True, **columns)
