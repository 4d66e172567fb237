"""Numbers in the form of the user's language: decimal comma and thousands apart in Portuguese."""

import re
from functools import cache

from engine.i18n.languages import language

SEPARATORS = {"en": (",", "."), "pt": ("\N{NO-BREAK SPACE}", ",")}
"""What stands between thousands, and before decimals, as the CLDR has it; Babel takes too long to say it."""
_WITH_A_COMMA = re.compile(r"\s*[+-]?\d*,\d+(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)


def number(value: float, form: str = ",") -> str:
    """Return a number as `format` does, with the language's separators; "12,345" for the usual form.

    Not for JSON, CSV, a configuration, or what is typed to be read by a program.
    """
    text = with_separators(format(value, form))
    return text.replace("%", f"{percent_gap()}%") if form.endswith("%") else text


def unit_gap() -> str:
    """Return what stands between a number and its unit: a space, at which no line ends in Portuguese."""
    return " " if is_english() else "\N{NO-BREAK SPACE}"


def percent_gap() -> str:
    """Return what stands between a number and its per cent sign."""
    return "" if is_english() else unit_gap()


def as_python_has_it(text: str) -> str:
    """Return a number that was typed with the language's decimal comma, "0,5", as Python reads it, "0.5".

    Any other text is returned as it is: in English a comma may as well stand between thousands.
    """
    is_local = not is_english() and _WITH_A_COMMA.fullmatch(text)
    return text.replace(",", ".") if is_local else text


def is_english() -> bool:
    """Whether numbers are written as Python does."""
    return language() == "en"


def with_separators(text: str) -> str:
    """Return a number that was written as in English, such as "12,345.6", with the language's separators."""
    return text if is_english() else text.translate(_replaced())


@cache
def _replaced() -> dict[int, str]:
    return str.maketrans(dict(zip(SEPARATORS["en"], SEPARATORS[language()], strict=True)))
