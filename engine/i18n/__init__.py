"""Translation of user-facing text.

Every sentence a user may read passes through `_`. The source language is English; the catalogue of another
is `engine/locale/<locale>/LC_MESSAGES/mqlora.po`, read when the first text is asked for. Values are filled in
after translation, `_("{n} rows").format(n=3)`, and numbers in them take the language's form.
"""

from functools import cache

from engine.i18n.languages import language
from engine.i18n.numbers import LocalText, number

__all__ = ["N_", "_", "language", "ngettext", "number"]


def _(text: str) -> str:
    """Return a text in the user's language."""
    catalogue = _catalogue()
    return text if catalogue is None else LocalText(catalogue.get(text, (text,))[0])


def N_(text: str) -> str:
    """Mark a text that is translated elsewhere, for those who collect what is to be translated."""
    return text


def ngettext(one: str, many: str, n: float) -> str:
    """Return the text for one of something, or that for many; nothing at all is many."""
    catalogue = _catalogue()
    if catalogue is None:
        return one if n == 1 else many
    return LocalText(catalogue.get(one, (one, many))[n != 1])


@cache
def _catalogue() -> dict[str, tuple[str, ...]] | None:
    """Return the translations into the user's language; None for English."""
    if language() == "en":
        return None
    from engine.i18n.catalogue import path_of, read  # not where all is English

    return read(path_of(language()))
