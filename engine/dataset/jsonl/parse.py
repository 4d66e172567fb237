"""One line of a data file: from bytes to a JSON object, or to what is wrong with them."""

import json
from typing import Any, NoReturn

from engine.dataset.report import LEFT_OUT
from engine.i18n import _, ngettext
from engine.sanitize import one_line

import msgspec


class RowError(Exception):
    """What is wrong with one line."""

    def __init__(self, kind: str, message: str, fix: str, column: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.fix, self.column = kind, message, fix, column

    @property
    def is_wanted(self) -> bool:
        """Whether the line itself asks to be left out."""
        return self.kind == LEFT_OUT


_decode = msgspec.json.Decoder().decode
MOST_CHARACTERS = 1 << 21
"""Of a row: 16 for each token of the longest that a run may read. To split more takes gigabytes."""
_MOST_TURNS = 2000
"""Of a conversation: chat templates are asked anew for each answer, all turns before it included."""


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object (RFC 8259) of a line.

    Raises:
        RowError: it is none, or not an unambiguous one.
    """
    value = parse_quickly(raw)
    return parse_thoroughly(raw) if value is None else value


def refuse_endless(characters: int, turns: int) -> None:
    """Refuse a row that no run could read to its end, and that would stop a check for minutes.

    Raises:
        RowError: it has that many characters or turns.
    """
    if characters > MOST_CHARACTERS:
        text = _("the row has {size:.1f} million characters, and more than {most:.1f} are not read")
        message = text.format(size=characters / 1e6, most=MOST_CHARACTERS / 1e6)
        raise RowError("line_too_long", message, _("split it"))
    if turns > _MOST_TURNS:
        text = ngettext(
            "the conversation has {turns:,} turn, and more than {most:,} are not read",
            "the conversation has {turns:,} turns, and more than {most:,} are not read",
            turns,
        )
        raise RowError("line_too_long", text.format(turns=turns, most=_MOST_TURNS), _("split it"))


def refuse_odd_characters(text: str) -> None:
    """Refuse zero and lone surrogates, which JSON's escapes can write and tokenizers stumble over.

    Raises:
        RowError: there are some.
    """
    if "\0" in text:
        raise RowError("nul", _("the text holds a zero character (\\u0000)"), _("take it out"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RowError(
            "invalid_text",
            _("the text holds half a character (a lone \\ud800 to \\udfff)"),
            _("write the whole character"),
        ) from None


def parse_quickly(raw: bytes) -> dict[str, Any] | None:
    """Return the object of a line that is in order; None where `parse_thoroughly` has to look.

    A key that is there twice shows in the quotes: there are more than the object has strings.
    """
    try:
        value = _decode(raw)
        if type(value) is not dict:
            return None
        if b"\\" in raw:  # quotes inside a string
            raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
        return value if raw.count(b'"') == 2 * _strings(value) else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _strings(value: Any) -> int:
    """Return how many strings there are in an object or an array, keys included."""
    count = 0
    if type(value) is dict:
        count, value = len(value), value.values()
    for item in value:
        kind = type(item)
        if kind is str:
            count += 1
        elif kind is dict or kind is list:
            count += _strings(item)
    return count


def parse_thoroughly(raw: bytes) -> dict[str, Any]:
    """Return the object of any line.

    Raises:
        RowError: it is none, or not an unambiguous one.
    """
    text = _text(raw.rstrip(b"\r\n"))
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise _invalid(text, error) from None
    except RecursionError:
        raise RowError("invalid_json", _("JSON is nested too deeply"), _("drop the line")) from None
    except ValueError:  # Python refuses integers of more than 4300 digits
        raise RowError("invalid_json", _("a number has too many digits"), _("drop the line")) from None
    if not isinstance(value, dict):
        is_turns = isinstance(value, list) and bool(value) and isinstance(value[0], dict)
        fix = _('write {"messages": [...]}') if is_turns else _('write {"prompt": ..., "completion": ...}')
        raise RowError("not_an_object", _("the line is not a JSON object"), fix)
    return value


def _text(raw: bytes) -> str:
    if (zero := raw.find(b"\0")) >= 0:
        message = _("byte {byte} is zero").format(byte=zero + 1)
        raise RowError("nul", message, _("drop the line or the byte"), _column(raw, zero))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = _("byte {byte} is not UTF-8").format(byte=error.start + 1)
        column = _column(raw, error.start)
        raise RowError("invalid_utf8", message, _("save the file as UTF-8"), column) from None


def _column(raw: bytes, byte: int) -> int:
    """Return the column, in characters from 1, of the byte at an index."""
    return len(raw[:byte].decode("utf-8", "replace")) + 1


_REASONS: dict[str, str] = {
    "Expecting property name": _("a name in double quotes is expected"),
    "Expecting ':'": _("a colon is expected"),
    "Expecting ','": _("a comma or a closing bracket is expected"),
    "Expecting value": _("a text in double quotes or another value is expected"),
    "Expecting object": _("an object is expected, which begins with {"),
    "Illegal trailing comma": _("nothing follows the comma"),
    "Unterminated string": _("the text that begins here has no end"),
    "Invalid control character": _("a control character, such as a tab, must be written as \\t"),
    "Invalid \\escape": _("no such escape; a backslash itself is written twice"),
    "Invalid \\uXXXX": _("four hexadecimal digits are expected after \\u"),
    "Unexpected UTF-8 BOM": _("a byte order mark stands inside the file"),
    "Extra data": _("something follows the object"),
    "": _("the line ends too early"),
}
"""What Python's errors mean, by how they begin: they are not translated, and differ between versions."""


def _invalid(text: str, error: json.JSONDecodeError) -> RowError:
    """Say what is wrong with a line that is not JSON, and where."""
    position, begin = error.pos, error.msg
    before = text[:position].rstrip(" \t\r")
    if position == len(text):
        begin = ""
    elif text[position] in "]}" and before.endswith(","):
        position, begin = len(before) - 1, "Illegal trailing comma"
    elif not before and begin.startswith("Expecting value"):
        begin = "Expecting object"
    reason = next(words for known, words in _REASONS.items() if begin.startswith(known))
    message = _("not JSON: {reason}").format(reason=reason)
    fix = _("write one object a line") if begin.startswith("Extra data") else _("correct the line or drop it")
    return RowError("invalid_json", message, fix, position + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        key = next(key for key, _value in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RowError(
            "duplicate_key",
            _("'{key}' is there twice").format(key=one_line(key, 30)),
            _("keep one of them: readers disagree on which counts"),
        )
    return value


def _no_number(name: str) -> NoReturn:
    raise RowError(
        "invalid_json", _("{name} is not JSON").format(name=name), _("write null or a number instead")
    )
