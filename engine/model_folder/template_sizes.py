"""How large a text or a list becomes that a chat template asks for: worked out before it is made."""

import re
import threading
from collections.abc import Iterable, Mapping, Sized
from typing import Any

from engine.i18n import _

_MOST_LENGTH = 1 << 26
"""Characters or items of one text or list; a row has no more."""
_LEAST_LENGTH, _LENGTHS = 1 << 20, 64
"""What a short conversation may be made into, and how many times its own length a long one."""
_WORK, _TIMES = 1 << 26, 1000
"""Characters and items gone through in all: for a short conversation, and times the length of a long one."""
_MOST_BITS = 1 << 20
"""Of a whole number."""
_WIDTH = re.compile(r"\d{5,}")
"""A number in a format that may be a width."""


class TooMuch(Exception):
    """A template does more than any conversation takes."""

    def __init__(self) -> None:
        super().__init__(_("it does not come to an end, or writes far too much"))


class _Room(threading.local):
    """What the template that this thread renders may still do."""

    length = _LEAST_LENGTH
    work = 0


_room = _Room()


def give_room(messages: list[dict[str, Any]]) -> None:
    """Begin to count anew, for a template that renders a conversation."""
    size = sum(len(text) for turn in messages if type(text := turn.get("content")) is str) + len(messages)
    _room.length = min(_MOST_LENGTH, _LEAST_LENGTH + _LENGTHS * size)
    _room.work = _WORK + _TIMES * size


def require(size: int) -> None:
    """Refuse a text or list of that many characters or items, and count it as work.

    Raises:
        TooMuch: it is too large, or there was too much work before it.
    """
    _room.work -= size
    if size > _room.length or _room.work < 0:
        raise TooMuch


def bounded(value: Any) -> Any:
    """Return a value that was made; refuse it if it is a text or a list that is too large."""
    if type(value) in (str, list):
        require(len(value))
    return value


def joined(parts: Iterable[str]) -> str:
    """Return texts as one, as jinja's `concat` does."""
    made, most = list[str](), _room.length
    room = most
    for part in parts:
        room -= len(part)
        if room < 0:
            raise TooMuch
        made.append(part)
    require(most - room)
    return "".join(made)


def writable(value: Any) -> Any:
    """Return a value that is about to be written as text: lists in lists may be without end."""
    if type(value) is not str:
        _weight(value)
    return value


def require_arguments(arguments: Iterable[Any]) -> None:
    """Refuse a number by which a text could be widened beyond all bounds."""
    for argument in arguments:
        if type(argument) is int and argument > _room.length:
            raise TooMuch


def require_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse a sum, product, power or formatted text that would be too large."""
    numbers = type(left) is int and type(right) is int
    if operator == "%":
        if isinstance(left, str):
            _require_format(left, right if isinstance(right, tuple) else (right,))
    elif operator == "+":
        if not numbers:
            require(_length(left) + _length(right))
    elif numbers:
        bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > _MOST_BITS:
            raise TooMuch
    else:
        times = left if type(left) is int else right if type(right) is int else 1
        require(max(_length(left), _length(right)) * max(times, 0))


def require_method(text: str, name: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what a method of a text would make too much of."""
    require(len(text))
    if name == "replace" and len(arguments) > 1 and all(isinstance(each, str) for each in arguments[:2]):
        old, new = arguments[:2]
        require(len(text) + text.count(old) * max(0, len(new) - len(old)))
    elif name == "join" and arguments:
        parts = arguments[0]
        require(_weight(parts) + len(text) * _length(parts))
    elif name == "expandtabs":
        width = arguments[0] if arguments and type(arguments[0]) is int else 8
        require(len(text) + text.count("\t") * max(0, width))
    elif name == "translate" and arguments and isinstance(arguments[0], Mapping):
        longest = max((_length(value) for value in arguments[0].values()), default=1)
        require(len(text) * max(1, longest))
    elif name in ("format", "format_map"):
        _require_format(text, arguments)


def require_filter(name: str, value: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Refuse what a filter of jinja would make too much of."""
    size = _weight(value)

    def given(place: int, key: str, default: Any) -> Any:
        return arguments[place] if len(arguments) > place else named.get(key, default)

    if name == "replace":
        require_method(str(value), name, (str(given(0, "old", "")), str(given(1, "new", ""))))
    elif name == "join":
        require(size + len(str(given(0, "d", ""))) * _length(value))
    elif name == "format":
        _require_format(str(value), (*arguments, *named.values()))
    elif name == "indent":
        width = given(0, "width", 4)
        width = len(width) if isinstance(width, str) else width
        require(size + (str(value).count("\n") + 1) * max(0, width))
    elif name == "wordwrap":
        width, mark = given(0, "width", 79), given(2, "wrapstring", None)
        require(size + size // max(1, width) * len(mark or "\n"))
    elif name == "tojson":
        require(size * (1 + max(0, given(0, "indent", 0) or 0)))


def _require_format(text: str, arguments: Iterable[Any]) -> None:
    """Refuse a width beyond all bounds, in the format or as an argument of it."""
    require_arguments(arguments)
    words = [each for each in arguments if isinstance(each, str) and len(each) < 100 and each.isdigit()]
    for found in _WIDTH.findall(" ".join((text, *words))):
        if len(found) > 9 or int(found) > _room.length:
            raise TooMuch


def _length(value: Any) -> int:
    return len(value) if isinstance(value, Sized) else 0


def _weight(value: Any) -> int:
    """Return the characters and items of a value, of those inside it too.

    Raises:
        TooMuch: they are too many.
    """
    if type(value) is str:
        require(len(value))
        return len(value)
    total, left = 0, [value]
    while left:
        each = left.pop()
        total += 1
        if isinstance(each, str):
            total += len(each)
        elif isinstance(each, Mapping):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set):
            left += each
        if total + len(left) > _room.length:
            raise TooMuch
    require(total)
    return total
