"""What must hold for any bytes that call themselves a data file, against readers that are not ours."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.dataset.inspect.preview import find_row
from engine.dataset.jsonl import lines as reading
from engine.dataset.jsonl.lines import OTHER_FORMATS
from engine.dataset.jsonl.parse import RowError, parse_object
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.jsonl.turns import Message
from engine.dataset.report import Fault
from engine.sanitize import one_line

from pydantic_core import from_json

MARK = b"\xef\xbb\xbf"


def check_file(path: Path) -> list[Row]:
    """Read a file, see that nothing of it is lost, misplaced or changed, and return its rows."""
    content = path.read_bytes()
    items = list(read_rows(path))
    rows = [item for item in items if isinstance(item, Row)]
    faults = [item for item in items if isinstance(item, Fault)]
    for fault in faults:
        check_words(fault)
    if any(fault.kind in OTHER_FORMATS for fault in faults):
        assert len(items) == 1, "a file of another format is one fault"
        return []
    lines = numbered(content)
    errors = [fault for fault in faults if fault.leaves_out]
    found = Counter([row.line for row in rows] + [fault.line for fault in errors])
    assert found == Counter(list(lines)), f"lines {found} instead of {sorted(lines)}"
    notes = {(fault.kind, fault.line) for fault in faults if fault.severity == "note"}
    notes = {(kind, line) for kind, line in notes if kind not in ("unused_fields", "left_out")}
    assert notes == set(oddities(content)), f"notes {notes}"
    for row in rows:
        value = json.loads(lines[row.line].decode())
        if is_simple(value):
            assert (row.messages, row.text) == meant(value), f"row of line {row.line}"
    for row in rows[-3:]:
        assert find_row(path, row.line) == row, f"line {row.line} alone is another row"
    assert {fault.line for fault in errors if fault.kind == "line_too_long"} == too_long(content)
    for fault in errors:
        if fault.kind != "line_too_long":
            assert not is_plainly_good(lines[fault.line]), f"line {fault.line} is good"
            check_column(lines[fault.line], fault)
    for raw in lines.values():
        check_line(raw)
    return rows


def numbered(content: bytes) -> dict[int, bytes]:
    """Return the lines that are not blank by their numbers, without mark and line break."""
    giants, lines = too_long(content), content.removeprefix(MARK).split(b"\n")
    return {number: line for number, line in enumerate(lines, start=1) if line.strip() or number in giants}


def too_long(content: bytes) -> set[int]:
    """Return the numbers of the lines that are passed over for their length, blank ones among them."""
    return {n for n, line in enumerate(content.split(b"\n"), start=1) if len(line) >= reading.MOST_BYTES}


def oddities(content: bytes) -> Iterator[tuple[str, int]]:
    """Yield what is harmless about a file, and its first line."""
    giants, lines = too_long(content), content.removeprefix(MARK).split(b"\n")
    if content.startswith(MARK) and 1 not in giants:
        yield "byte_order_mark", 1
    windows = [number for number, line in enumerate(lines[:-1], start=1) if line.endswith(b"\r")]
    is_whole = not lines[-1] and content != MARK
    blank = [n for n, line in enumerate(lines[:-1] if is_whole else lines, start=1) if not line.strip()]
    for kind, found in (("windows_line_ends", windows), ("blank_lines", blank)):
        if seen := [number for number in found if number not in giants]:
            yield kind, seen[0]
    if lines[-1]:
        yield "no_last_line_break", len(lines)


def is_simple(value: dict[str, Any]) -> bool:
    """Whether an object is one form, written with texts and roles alone: what it means is beyond doubt."""
    if {name.lower() for name in value} & {"system", "system_prompt", "system_message", "tools", "functions"}:
        return False
    turns = value.get("messages", [])
    if isinstance(value.get("prompt"), list) or isinstance(value.get("completion"), list):
        return False
    return all(
        isinstance(turn.get("content"), str)
        and turn.get("role") in ("system", "user", "assistant", "tool")
        and not turn.keys() & {"tool_calls", "function_call", "tool_call_id", "name"}
        for turn in turns
    )


def meant(value: dict[str, Any]) -> tuple[tuple[Message, ...], str]:
    """Return the turns and the text that a good row's object holds."""
    if "messages" in value:
        turns = value["messages"]
    elif "prompt" in value:
        words = (("user", value["prompt"]), ("assistant", value["completion"]))
        turns = [{"role": role, "content": content} for role, content in words]
    else:
        return (), value["text"]
    return tuple({"role": turn["role"], "content": turn["content"]} for turn in turns), ""


def is_plainly_good(raw: bytes) -> bool:
    """Whether a line is a pair or a text with visible letters and nothing else; it must be a row."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or set(value) not in ({"prompt", "completion"}, {"text"}):
        return False
    if all(text == name for name, text in value.items()):  # the names of columns once more
        return False
    return all(isinstance(text, str) and text.isprintable() and text.strip() for text in value.values())


def check_line(raw: bytes) -> None:
    """See that a line is read as Python's strict reader and as jiter (in Rust) read it, or refused."""
    try:
        found: dict[str, Any] | None = parse_object(raw)
    except RowError:
        found = None
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError:
        return
    except ValueError:
        assert found is None, f"{raw!r} is no JSON for Python"
        return
    expected = value if isinstance(value, dict) else None
    assert found == expected, f"{raw!r}: {found!r} instead of {expected!r}"
    if expected is not None and _is_whole_text(value):
        try:
            other = from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            assert "recursion limit" in str(error), f"{raw!r} is no JSON for jiter: {error}"
            return
        assert other == found, f"{raw!r}: {found!r}, jiter {other!r}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _value in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _refuse(name: str) -> None:
    raise ValueError(name)


def _is_whole_text(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_column(raw: bytes, fault: Fault) -> None:
    """See that a fault is where Python's reader stumbles, or at the comma that nothing follows."""
    if fault.column is None:
        return
    if fault.kind in ("nul", "invalid_utf8"):
        expected = raw.find(b"\0") if fault.kind == "nul" else _first_bad_byte(raw)
        assert f"byte {expected + 1} " in fault.message, f"{fault.message}: {expected + 1}"
        assert fault.column == len(raw[:expected].decode("utf-8", "replace")) + 1
        return
    text = raw.decode().rstrip("\r")
    try:
        json.loads(text)
        raise AssertionError(f"{text!r} is JSON")
    except json.JSONDecodeError as error:
        between = text[fault.column : error.pos]
        is_comma = text[fault.column - 1 : fault.column] == "," and text[error.pos : error.pos + 1] in (
            "]",
            "}",
        )
        assert fault.column == error.pos + 1 or (is_comma and not between.strip()), f"{text!r}: {fault}"


def _first_bad_byte(raw: bytes) -> int:
    """Return the index of the first byte that no character of UTF-8 begins or goes on with."""
    begin = 0
    while begin < len(raw):
        size = next((n for n in (1, 2, 3, 4) if _is_character(raw[begin : begin + n])), 0)
        if not size:
            return begin
        begin += size
    return -1


def _is_character(part: bytes) -> bool:
    try:
        return len(part.decode()) == 1
    except UnicodeDecodeError:
        return False


def check_words(fault: Fault) -> None:
    """See that a fault says something, and nothing that steers a terminal."""
    assert fault.message and fault.fix and fault.line >= 1
    for text in (fault.message, fault.fix):
        assert text == one_line(text, 1000), f"{text!r} is not harmless"
