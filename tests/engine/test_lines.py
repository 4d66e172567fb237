"""What is said of a data file as a whole, and that no line is lost or counted wrong on the way."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

from engine.dataset.jsonl import lines
from engine.dataset.jsonl.parse import RowError, parse_quickly, parse_thoroughly
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

GOOD = b'{"prompt": "a", "completion": "b"}'


def read(folder: Path, content: bytes) -> tuple[list[Row], list[Fault]]:
    """The rows of a file, and its faults."""
    path = folder / "train.jsonl"
    path.write_bytes(content)
    items = list(read_rows(path))
    return [i for i in items if isinstance(i, Row)], [i for i in items if isinstance(i, Fault)]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(GOOD, mtime=0), "compressed"),
        (b"PK\x03\x04rest", "compressed"),
        (b"PAR1rest", "parquet"),
        ('{"prompt": "a"}'.encode("utf-16"), "utf16"),
        (b"[" + GOOD + b"," + GOOD + b"]", "json_array"),
        (b"\xef\xbb\xbf\n [\n  {\n", "json_array"),
        (json.dumps({"prompt": "a", "completion": "b"}, indent=2).encode(), "spread_object"),
    ],
)
def test_a_file_of_another_format_is_one_fault(tmp_path: Path, content: bytes, kind: str) -> None:
    """Not one for each of its lines, none of which could be right."""
    rows, faults = read(tmp_path, content)
    assert rows == [] and [(f.kind, f.line, f.severity) for f in faults] == [(kind, 1, "error")]
    assert faults[0].message and faults[0].fix


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (GOOD + b"\n", []),
        (GOOD, [("no_last_line_break", 1)]),
        (GOOD + b"\n\n \t\n" + GOOD + b"\n", [("blank_lines", 2)]),
        (b"\n" + GOOD + b"\r\n" + GOOD + b"\r\n", [("windows_line_ends", 2), ("blank_lines", 1)]),
        (b"\xef\xbb\xbf" + GOOD + b"\n", [("byte_order_mark", 1)]),
        (b"\xef\xbb\xbf", [("byte_order_mark", 1), ("blank_lines", 1)]),
    ],
)
def test_harmless_oddities_are_notes(tmp_path: Path, content: bytes, notes: list[tuple[str, int]]) -> None:
    """Each once, at the first line that has it; all rows are used."""
    rows, faults = read(tmp_path, content)
    assert len(rows) == content.count(GOOD)
    assert [(fault.kind, fault.line) for fault in faults] == notes
    assert {fault.severity for fault in faults} <= {"note"}


def test_mixed_forms_are_reported_at_the_first_of_the_rarest(tmp_path: Path) -> None:
    """With how many there are of each."""
    turns = json.dumps(
        {"messages": [{"role": role, "content": "a"} for role in ("user", "assistant")]}
    ).encode()
    rows, faults = read(tmp_path, b"\n".join([GOOD, GOOD, b'{"text": "c"}', turns, turns, turns, b""]))
    assert len(rows) == 6
    (fault,) = faults
    assert (fault.kind, fault.line, fault.severity) == ("mixed_forms", 3, "warning")
    assert "3 messages, 2 prompt and completion, 1 text" in fault.message


def test_a_giant_line_is_passed_over_and_the_next_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never is in memory as a whole; line numbers stay right, also at the file's end."""
    monkeypatch.setattr(lines, "MOST_BYTES", 100)
    giant = b'{"prompt": "' + b"a" * 1234 + b'"}'
    rows, faults = read(tmp_path, giant + b"\n" + GOOD + b"\n" + giant)
    assert [row.line for row in rows] == [2]
    assert [(f.kind, f.line) for f in faults if f.severity == "error"] == [
        ("line_too_long", 1),
        ("line_too_long", 3),
    ]


@pytest.mark.parametrize(
    ("line", "kind", "column"),
    [
        (b'{"prompt": "a", "prompt": "c", "completion": "b"}', "duplicate_key", None),
        (b'{"prompt": "a", "completion": "b", "id": {"x": 1, "x": 2}}', "duplicate_key", None),
        (b'{"prompt": "a\0", "completion": "b"}', "nul", 14),
        (b'{"prompt": "a\\u0000", "completion": "b"}', "nul", None),
        (b'{"prompt": NaN}', "invalid_json", None),
        (b'{"text": "a", "n": -Infinity}', "invalid_json", None),
    ],
)
def test_what_readers_disagree_about_is_a_fault(
    tmp_path: Path, line: bytes, kind: str, column: int | None
) -> None:
    """Keys that are there twice, zero bytes, numbers that JSON does not have."""
    rows, faults = read(tmp_path, GOOD + b"\n" + line + b"\n")
    assert len(rows) == 1 and [(f.kind, f.line, f.column) for f in faults] == [(kind, 2, column)]


_texts = st.text(max_size=6)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_names = st.sampled_from(["prompt", "completion", "messages", "text", "role", "content"])
_turns = st.dictionaries(_names, st.sampled_from(["user", "assistant", ""]) | _values, max_size=3)
_objects = st.dictionaries(_names, _values | st.lists(_turns, max_size=3), max_size=4)


_pairs = st.fixed_dictionaries({"prompt": _texts, "completion": _texts}) | st.dictionaries(
    st.sampled_from(["prompt", "completion", "promp", ""]), _texts | st.none() | st.integers(), max_size=3
)
_lines = st.one_of(
    _pairs.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    _pairs.map(lambda value: json.dumps(value).encode()),
    st.tuples(_pairs, st.integers(0, 80), st.binary(max_size=2)).map(
        lambda t: json.dumps(t[0]).encode()[: t[1]] + t[2] + json.dumps(t[0]).encode()[t[1] :]
    ),
    _objects.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)


def thorough(raw: bytes) -> Any:
    """What the thorough way makes of a line; None if it refuses it."""
    try:
        return parse_thoroughly(raw)
    except RowError:
        return None


@settings(max_examples=500)
@given(_lines)
@example(b'{"prompt": "a\xff", "completion": "b"}')
@example(b'{"prompt": "\xed\xa0\x80", "completion": "b"}')
@example(b'{"prompt": "\\ud800", "completion": "\\ud83d\\ude00"}')
@example(b'{"prompt": "\\udc00\\ud800"}')
@example(b'{"prompt": "a\nb", "completion": "b"}')
@example(b'{"prompt": "a", "completion": "b"} x')
@example(b'{"a": "\\\\", "a": "\\""}')
@example(b'{"a": {"b": 1, "b": 2}}')
@example(b'{"a": 1, "\\u0061": 2}')
def test_the_fast_way_finds_what_the_thorough_one_finds(raw: bytes) -> None:
    """Or leaves the line to it: never another object, and no line that the other refuses."""
    found = parse_quickly(raw)
    assert found is None or found == thorough(raw)


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "Olá?", "completion": "Sim 👍\n"},
        {"id": 7, "prompt": 'a "b" \\', "completion": "\u2028"},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": '"'}]},
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_usual_lines_go_the_fast_way(value: dict[str, Any], ascii_only: bool) -> None:
    """Else it would be of no use."""
    assert parse_quickly(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@settings(max_examples=150)
@given(
    st.lists(_lines | st.sampled_from([GOOD, b"", b" ", b"{", b"["]), max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
)
def test_every_line_is_a_row_a_fault_or_blank(tmp_path: Path, content: list[bytes], end: bytes) -> None:
    """With the number it has in the file, unless the file as a whole is another format."""
    whole = end.join(content)
    rows, faults = read(tmp_path, whole)
    if any(fault.kind in ("json_array", "spread_object", "utf16", "compressed") for fault in faults):
        assert not rows
        return
    expected = [
        number
        for number, raw in enumerate(whole.split(b"\n"), start=1)
        if raw.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").strip()
    ]
    errors = [fault.line for fault in faults if fault.severity == "error"]
    assert Counter([row.line for row in rows] + errors) == Counter(expected)
    for row in rows:  # no half characters
        "".join([row.text, *(turn["content"] for turn in row.messages)]).encode("utf-8")
