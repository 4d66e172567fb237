"""One line of a data file: from bytes to a JSON object, or to what is wrong with them."""

import json
from typing import Any, NoReturn

from engine.i18n import _
from engine.text import one_line

import msgspec


class RowError(Exception):
    """What is wrong with one line."""

    def __init__(self, kind: str, message: str, fix: str, column: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.fix, self.column = kind, message, fix, column


_decode = msgspec.json.Decoder().decode


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object (RFC 8259) of a line.

    Raises:
        RowError: it is none, or not an unambiguous one.
    """
    value = _quick_object(raw)
    return _object(raw) if value is None else value


def _quick_object(raw: bytes) -> dict[str, Any] | None:
    """Return the object of a line that is in order; None where `_object` has to look, which takes longer.

    A key that is there twice shows in the quotes: there are more than the object has strings.
    """
    try:
        value = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(value) is not dict:
        return None
    if b"\\" in raw:  # quotes inside a string
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    return value if raw.count(b'"') == 2 * _strings(value) else None


def _strings(value: Any) -> int:
    """Return how many strings there are in a value, keys included."""
    if type(value) is str:
        return 1
    if type(value) is list:
        return sum([_strings(item) for item in value])
    if type(value) is dict:
        return len(value) + sum([1 if type(item) is str else _strings(item) for item in value.values()])
    return 0


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(_text(raw), object_pairs_hook=_unique, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise RowError(
            "invalid_json",
            _("not JSON: {reason}").format(reason=error.msg.lower()),
            _("mend the line or drop it"),
            error.colno,
        ) from None
    except RecursionError:
        raise RowError("invalid_json", _("JSON is nested too deeply"), _("drop the line")) from None
    except ValueError:  # Python refuses integers of more than 4300 digits
        raise RowError("invalid_json", _("a number has too many digits"), _("drop the line")) from None
    if not isinstance(value, dict):
        raise RowError(
            "not_an_object", _("the line is not a JSON object"), _('write {"prompt": ..., "completion": ...}')
        )
    return value


def _text(raw: bytes) -> str:
    if (zero := raw.find(b"\0")) >= 0:
        raise RowError(
            "nul", _("byte {byte} is zero").format(byte=zero + 1), _("drop the line or the byte"), zero + 1
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RowError(
            "invalid_utf8",
            _("byte {byte} is not UTF-8").format(byte=error.start + 1),
            _("save the file as UTF-8"),
            error.start + 1,
        ) from None


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
