"""Translation of user-facing text.

Every sentence a user may read passes through `_`. The source language is English; the catalogue of another
is `engine/locale/<locale>/LC_MESSAGES/mqlora.po`, read when the first text is asked for. Values are filled in
after translation, `_("{n} rows").format(n=3)`, and numbers in them take the language's form.
"""

from functools import cache

from engine.i18n.languages import language
from engine.i18n.numbers import number
from engine.i18n.texts import LocalText, Message

__all__ = ["N_", "_", "language", "ngettext", "number"]


def _(text: str) -> str:
    """Return a text in the user's language."""
    catalogue = _catalogue()
    local = text if catalogue is None else catalogue.get(text, (text,))[0]
    return LocalText(local, Message(text))


def N_(text: str) -> str:
    """Mark a text that is translated elsewhere, for those who collect what is to be translated."""
    return text


def ngettext(one: str, many: str, n: float) -> str:
    """Return the text for one of something, or that for many; nothing at all is many."""
    catalogue = _catalogue()
    forms = (one, many) if catalogue is None else catalogue.get(one, (one, many))
    return LocalText(forms[n != 1], Message(one, many, n))


@cache
def _catalogue() -> dict[str, tuple[str, ...]] | None:
    """Return the translations into the user's language; None for English."""
    if language() == "en":
        return None
    from engine.i18n.catalogue import path_of, read  # not where all is English

    return read(path_of(language()))
