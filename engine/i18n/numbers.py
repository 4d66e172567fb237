"""Numbers in the form of the user's language: decimal comma and thousands apart in Portuguese."""

from functools import cache
from string import Formatter
from typing import Any

from engine.i18n.languages import language

SEPARATORS = {"en": (",", "."), "pt": ("\N{NO-BREAK SPACE}", ",")}
"""What stands between thousands, and before decimals, as the CLDR has it; Babel takes too long to say it."""
_NUMERIC = tuple(",efgE%")
"""How the format of a number ends."""


def number(value: float, form: str = ",") -> str:
    """Return a number as `format` does, with the language's separators; "12,345" for the usual form.

    Not for JSON, CSV, a configuration, or what is typed to be read by a program.
    """
    return with_separators(format(value, form))


def with_separators(text: str) -> str:
    """Return a number that was written as in English, such as "12,345.6", with the language's separators."""
    return text if language() == "en" else text.translate(_replaced())


@cache
def _replaced() -> dict[int, str]:
    return str.maketrans(dict(zip(SEPARATORS["en"], SEPARATORS[language()], strict=True)))


class LocalText(str):
    """A translated text, which fills in numbers in the form of its language."""

    __slots__ = ()

    def format(self, *args: object, **values: object) -> str:
        """Fill in values as `str.format` does."""
        return _FORMATTER.vformat(self, args, values)


class _Formatter(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, str) or not format_spec.endswith(_NUMERIC):
            return format(value, format_spec)
        return number(value, format_spec)


_FORMATTER = _Formatter()
