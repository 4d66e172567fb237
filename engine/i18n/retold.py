"""Messages that were written down, told in the language of whoever reads them now."""

import re
from string import Formatter

from engine.i18n import _, ngettext
from engine.i18n.texts import Message

_FORM = re.compile(r"[,.\d]{0,3}[defgE%]?")
"""Of a number that a text of ours asks for; a file may hold any other, such as one a million columns wide."""


def retold(message: Message) -> str:
    """Return a message in the present language; as its English text stands where that is none of ours."""
    text = ngettext(message.text, message.many, message.n) if message.many else _(message.text)
    values = {
        name: retold(value) if isinstance(value, Message) else value for name, value in message.values.items()
    }
    return text.format(**values) if _is_filled_by(text, values) else message.text


def _is_filled_by(text: str, values: dict[str, int | float | str]) -> bool:
    """Whether nothing but these values, in plain forms, is to be filled in."""
    try:
        for _before, name, form, conversion in Formatter().parse(text):
            if name is None:
                continue
            value = values[name]
            is_plain = not form or (isinstance(value, int | float) and _FORM.fullmatch(form))
            if conversion or not is_plain:
                return False
    except (ValueError, KeyError):
        return False
    return True
