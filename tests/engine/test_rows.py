"""Every line of a data file becomes one row or one fault that says where."""

import json
from pathlib import Path
from typing import Any

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from engine.errors import UserError

import pytest

GOOD = b'{"prompt": "a", "completion": "b"}'
PAIR = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})


def read(tmp_path: Path, content: bytes) -> list[Row | Fault]:
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    items = list(read_rows(path))
    return [item for item in items if isinstance(item, Row) or item.severity != "note"]


@pytest.mark.parametrize(
    ("value", "messages", "text"),
    [
        ({"prompt": "a", "completion": "b"}, PAIR, ""),
        ({"prompt": "a", "completion": "b", "text": "### a\n### b", "id": 3}, PAIR, ""),
        ({"messages": list(PAIR)}, PAIR, ""),
        (
            {"messages": [{"role": "system", "content": ""}, *PAIR], "prompt": "a"},
            ({"role": "system", "content": ""}, *PAIR),
            "",
        ),
        ({"messages": [{**PAIR[0], "name": "Eva"}, {**PAIR[1], "weight": 1, "tool_calls": []}]}, PAIR, ""),
        ({"text": "c"}, (), "c"),
    ],
)
def test_each_form_of_a_row_is_read(tmp_path: Path, value: Any, messages: tuple[Any, ...], text: str) -> None:
    """Prompt and completion, a conversation, or plain text."""
    assert read(tmp_path, json.dumps(value).encode()) == [Row(1, messages, text)]


@pytest.mark.parametrize(
    ("line", "kind", "column"),
    [
        (b'{"prompt": "a" "completion": "b"}', "invalid_json", 16),
        (b'{"prompt": "\xc3\xa9" x}', "invalid_json", 16),
        (b"[" * 200_000, "invalid_json", None),
        (b'{"prompt": ' + b"9" * 5000 + b"}", "invalid_json", None),
        (b'{"prompt": "a\xff"}', "invalid_utf8", 14),
        (b'["a", "b"]', "not_an_object", None),
        (b"null", "not_an_object", None),
        (b"{}", "missing_field", None),
        (b'{"prompt": "a"}', "missing_field", None),
        (b'{"completion": "a"}', "missing_field", None),
        (b'{"prompt": 3, "completion": "b"}', "wrong_type", None),
        (b'{"prompt": "a", "completion": null}', "empty_completion", None),
        (b'{"prompt": null, "completion": "b"}', "empty_prompt", None),
        (b'{"prompt": "a", "completion": []}', "empty_completion", None),
        (b'{"prompt": "a", "completion": ["b"]}', "wrong_type", None),
        (b'{"prompt": "a", "completion": ["b", "c"]}', "several_answers", None),
        (b'{"prompt": "a", "completion": 1, "choices": ["b", "c"]}', "unknown_option", None),
        (b'{"prompt": "prompt", "completion": "completion"}', "repeated_header", None),
        (b'{"text": ["a"]}', "wrong_type", None),
        (b'{"messages": {}}', "wrong_type", None),
        (b'{"messages": []}', "wrong_type", None),
        (b'{"prompt": " ", "completion": "b"}', "empty_prompt", None),
        (b'{"prompt": "a", "completion": "\\n"}', "empty_completion", None),
        (b'{"text": ""}', "empty_text", None),
        (b'{"messages": [{"role": "user", "content": "a"}]}', "no_assistant_turn", None),
        (b'{"messages": ["a"]}', "wrong_role", None),
        (b'{"messages": [{"role": ["user"], "content": "a"}]}', "wrong_role", None),
        (b'{"messages": [{"role": "bot", "content": "a"}]}', "wrong_role", None),
        (b'{"messages": [{"role": "assistant", "content": ""}]}', "empty_completion", None),
        (b'{"messages": [{"role": "user", "content": null}]}', "empty_completion", None),
        (b'{"messages": [{"role": "user", "content": "a", "tool_calls": [{}]}]}', "unsupported_field", None),
        (b'{"messages": [{"role": "user", "content": "a", "thinking": "b"}]}', "unsupported_field", None),
        (b'{"messages": [{"role": "assistant", "content": "a"}], "tools": [{}]}', "wrong_type", None),
        (b'{"prompt": "a", "completion": "\\ud800"}', "invalid_text", None),
        (b'{"text": "\\udfff"}', "invalid_text", None),
        (
            b'{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "b"}]}',
            "invalid_text",
            None,
        ),
        (b'{"messages": [{"role": "assistant", "content": "a"}]}', "no_question", None),
        (b'{"messages": [{"role": "assistant", "content": "a"}], "id": 1}', "no_question", None),
    ],
)
def test_each_fault_has_its_kind_line_and_column(
    tmp_path: Path, line: bytes, kind: str, column: int | None
) -> None:
    """The rows around a faulty one are not touched by it."""
    first, fault, last = read(tmp_path, GOOD + b"\n\n" + line + b"\n" + GOOD)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.line, fault.column) == (kind, 3, column)
    assert (fault.file, fault.severity) == ("train.jsonl", "error")
    assert fault.message and fault.fix
    assert (first, last) == (Row(1, PAIR), Row(4, PAIR))


@pytest.mark.parametrize("name", ["Prompt", "promt", "prompts", "complétion"])
def test_a_misspelt_field_is_named(tmp_path: Path, name: str) -> None:
    """The advice is to rename the field that is nearly right."""
    (fault,) = read(tmp_path, json.dumps({name: "a"}).encode())
    assert isinstance(fault, Fault)
    assert fault.kind == "missing_field" and f"'{name}'" in fault.fix


def test_a_field_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Advice that quotes the data quotes it harmlessly."""
    (fault,) = read(tmp_path, json.dumps({"prompt\x1b": "a"}).encode())
    assert isinstance(fault, Fault) and "\x1b" not in fault.fix


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"\xef\xbb\xbf" + GOOD + b"\r\n \t\r\n" + GOOD, [1, 3]),
        (b"\n\n" + GOOD + b"\n", [3]),
        (b"\xef\xbb\xbf", []),
        (b"", []),
        (GOOD, [1]),
    ],
)
def test_marks_blank_lines_and_line_ends_of_other_systems_are_fine(
    tmp_path: Path, content: bytes, lines: list[int]
) -> None:
    """Files written on Windows, and files without a final line break."""
    assert read(tmp_path, content) == [Row(line, PAIR) for line in lines]


def test_a_file_that_cannot_be_read_is_the_users_mistake(tmp_path: Path) -> None:
    """Neither a missing file nor a folder gives a traceback."""
    for path in (tmp_path / "missing.jsonl", tmp_path):
        with pytest.raises(UserError, match="Cannot read"):
            list(read_rows(path))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\\u001b[31mred", "\\x1b"),
        ("a\\u0007", "\\x07"),
        ("a\\bb", "\\x08"),
        ("a\\fb", "\\x0c"),
        ("a\x7f", "\\x7f"),
        ("a\x9b31m", "\\x9b"),
    ],
)
def test_a_control_character_is_reported_and_stays(tmp_path: Path, text: str, shown: str) -> None:
    """The row is named and used as it is: nothing is taken out in silence."""
    line = f'{{"prompt": "a", "completion": "{text}"}}'
    row, fault = read(tmp_path, GOOD.replace(b"a", b"\\n\\t\\r\xc2\xba") + b"\n" + line.encode())[1:]
    assert isinstance(row, Row) and isinstance(fault, Fault)
    assert row.messages[1]["content"] == json.loads(f'"{text}"')
    assert (fault.line, fault.kind, fault.severity) == (2, "control_character", "warning")
    assert f"the control character {shown}," in fault.message


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "a" * 3_000_000}, "the row has 3.0 million characters"),
        ({"messages": list(PAIR) * 1001}, "the conversation has 2,002 turns"),
    ],
)
def test_a_row_without_end_is_reported(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    """Splitting it into tokens would take gigabytes, or minutes; the next row is read."""
    fault, after = read(tmp_path, json.dumps(row).encode() + b"\n" + GOOD + b"\n")
    assert isinstance(fault, Fault) and (fault.kind, fault.line) == ("line_too_long", 1)
    assert words in fault.message and isinstance(after, Row)


@pytest.mark.parametrize(
    ("completion", "fix"),
    [
        (7, "put the value in double quotes"),
        (["b"], "write it as one text"),
        ({"a": 1}, "write it as one text"),
    ],
)
def test_what_is_no_text_is_to_be_made_one(tmp_path: Path, completion: Any, fix: str) -> None:
    """Quotes around a list would make a text of its brackets."""
    (fault,) = read(tmp_path, json.dumps({"prompt": "a", "completion": completion}).encode())
    assert isinstance(fault, Fault) and fault.fix == fix
