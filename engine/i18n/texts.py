"""Texts that know which English text they come from, so that they can be told in another language later."""

from dataclasses import dataclass, field
from string import Formatter
from typing import Any, Union

from engine.i18n.numbers import is_english, number

_NUMERIC = tuple(",efgE%")
"""How the format of a number ends."""


@dataclass(frozen=True)
class Message:
    """A text in no language yet: what is translated, and what is filled in then."""

    text: str
    """In English, as the catalogues know it; or what is the same in every language."""
    many: str = ""
    """That for many, if there is one."""
    n: float = 1
    """Of how many it tells."""
    values: dict[str, Union[int, float, str, "Message"]] = field(default_factory=dict)
    """By the names that stand for them."""


class LocalText(str):
    """A translated text, which fills in numbers in the form of its language."""

    __slots__ = ("message",)
    message: Message | None

    def __new__(cls, text: str, message: Message | None = None) -> "LocalText":
        """Keep the message that it is, where that is known."""
        self = super().__new__(cls, text)
        self.message = message
        return self

    def format(self, *args: object, **values: object) -> str:
        """Fill in values as `str.format` does."""
        filled = super().format(*args, **values) if is_english() else _FORMATTER.vformat(self, args, values)
        if self.message is None or args:
            return filled
        message, kept = self.message, {name: _kept(value) for name, value in values.items()}
        return LocalText(filled, Message(message.text, message.many, message.n, kept))


def message_of(text: str) -> Message:
    """Return the message that a text is; one that is the same in every language where nothing is known."""
    known = text.message if isinstance(text, LocalText) else None
    return known or Message("{text}", values={"text": str(text)})


def in_english(text: str) -> str:
    """Return the English of a text, for files and keys that have to be the same in every language."""
    return _english(message_of(text))


def _english(message: Message) -> str:
    form = message.many if message.many and message.n != 1 else message.text
    values = message.values.items()
    return form.format(**{name: _english(v) if isinstance(v, Message) else v for name, v in values})


def _kept(value: object) -> int | float | str | Message:
    if isinstance(value, LocalText):
        return message_of(value)
    return value if isinstance(value, int | float) else str(value)


class _Formatter(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, str) or not format_spec.endswith(_NUMERIC):
            return format(value, format_spec)
        return number(value, format_spec)


_FORMATTER = _Formatter()
