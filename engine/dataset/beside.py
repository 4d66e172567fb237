"""What stands in a row beside the fields of its form: honoured, refused, or named as not used."""

import shlex
from typing import Any, Literal

from engine.dataset.fields import (
    answer_of,
    is_excluded,
    not_to_be_learned,
    refuse_field,
    says_nothing,
    sense_of,
)
from engine.dataset.names import is_speaker, part_of
from engine.dataset.parsing import RowError
from engine.dataset.tools import read_tools
from engine.i18n import _
from engine.text import one_line

Form = Literal["pair", "messages", "text"]
"""How a row is written."""
FIELDS = ("prompt", "completion", "messages", "text")
"""Of all forms."""
OF_FORM: dict[Form, frozenset[str]] = {
    "pair": frozenset({"prompt", "completion"}),
    "messages": frozenset({"messages"}),
    "text": frozenset({"text"}),
}


class Beside:
    """What stands beside the fields of a row's form."""

    def __init__(self, value: dict[str, Any], form: Form, texts: list[str]) -> None:
        """Look at each field.

        Args:
            value: the row.
            form: that it is written in.
            texts: of its turns, or its plain text.

        Raises:
            RowError: a field changes the meaning of the row and cannot be honoured.
        """
        self._form = form
        self.system = ""
        self.tools: tuple[dict[str, Any], ...] = ()
        self.beside = ""
        """Name of the field with the system text or the tools."""
        self.not_used: list[str] = []
        for name, item in value.items():
            if name not in OF_FORM[form] and not says_nothing(item):
                self._see(name, item, texts)

    def _see(self, name: str, value: Any, texts: list[str]) -> None:
        sense, where = sense_of(name), _("the row")
        if name in FIELDS or (part_of(name) in ("question", "answer", "turns") and not is_speaker(name)):
            _refuse_other_form(name, value, texts)
            self.not_used.append(name)
        elif sense == "system" and isinstance(value, str):
            if self.system and self.system.split() != value.split():
                raise RowError("two_systems", _("the row has two system texts"), _("keep one of them"))
            self.system, self.beside = value, name
        elif sense == "tools":
            self.tools, self.beside = read_tools(value, name), name
        elif sense in ("trained", "weight", "label"):
            if is_excluded(name, sense, value, where):
                raise not_to_be_learned(name)
            if sense != "weight" and answer_of(value) is None:
                self.not_used.append(name)
        elif sense == "context" and self._form != "pair":
            raise _context_beside(name, self._form)
        elif sense and not isinstance(value, bool | int | float):
            raise refuse_field(name, sense, where)
        else:
            self.not_used.append(name)


def _context_beside(name: str, form: Form) -> RowError:
    """Return the refusal of what belongs to a question, beside turns or a text: its place is not known."""
    fix = _("write it into the text")
    if form == "messages":
        fix = _(
            "write it into a turn, or let it be the system text: mqlora-tui import FILE --system {name}"
        ).format(name=one_line(shlex.quote(name), 60))
    message = _("the row has '{key}', which belongs to the question").format(key=one_line(name, 30))
    return RowError("unsupported_field", message, fix)


def _refuse_other_form(name: str, value: Any, texts: list[str]) -> None:
    """Refuse a second form in a row, unless it only says once more what the first one does.

    Raises:
        RowError: it says something else.
    """
    if isinstance(value, str) and (
        value in texts or (name == "text" and all(text.strip() in value for text in texts))
    ):
        return
    raise RowError(
        "two_forms",
        _("the row is written in two forms: it also has '{name}'").format(name=one_line(name, 30)),
        _("keep one of them"),
    )
