"""Numbers in the form of the user's language: decimal comma and thousands apart in Portuguese."""

from functools import cache

from engine.i18n.languages import language

SEPARATORS = {"en": (",", "."), "pt": ("\N{NO-BREAK SPACE}", ",")}
"""What stands between thousands, and before decimals, as the CLDR has it; Babel takes too long to say it."""


def number(value: float, form: str = ",") -> str:
    """Return a number as `format` does, with the language's separators; "12,345" for the usual form.

    Not for JSON, CSV, a configuration, or what is typed to be read by a program.
    """
    return with_separators(format(value, form))


def is_english() -> bool:
    """Whether numbers are written as Python does."""
    return language() == "en"


def with_separators(text: str) -> str:
    """Return a number that was written as in English, such as "12,345.6", with the language's separators."""
    return text if is_english() else text.translate(_replaced())


@cache
def _replaced() -> dict[int, str]:
    return str.maketrans(dict(zip(SEPARATORS["en"], SEPARATORS[language()], strict=True)))
