"""What stands in a row beside the fields of its form: honoured, refused, or named as not used."""

import shlex
from typing import Any, Literal

from engine.dataset.jsonl.field_names import is_speaker, is_who_speaks, part_of
from engine.dataset.jsonl.fields import (
    LEARNING,
    Sense,
    is_remark,
    means_nothing,
    says_nothing,
    sense_of,
)
from engine.dataset.jsonl.learned import is_class_or_answer, is_learned
from engine.dataset.jsonl.options import option_names, options_of, stand_in
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.refusals import not_to_be_learned, refuse_field, refuse_preference
from engine.dataset.jsonl.tools import read_tools
from engine.i18n import _
from engine.sanitize import one_line

RowForm = Literal["pair", "messages", "text"]
"""How a row is written."""
FIELDS = ("prompt", "completion", "messages", "text")
"""Of all forms."""
OF_FORM: dict[RowForm, frozenset[str]] = {
    "pair": frozenset({"prompt", "completion"}),
    "messages": frozenset({"messages"}),
    "text": frozenset({"text"}),
}

_ANSWERS: dict[RowForm, tuple[str, str]] = {
    "pair": ("completion", "--answer"),
    "messages": ("messages", "--answer"),
    "text": ("text", "--text"),
}
"""What is learned of a form, and the option of the import that says so."""


class Beside:
    """What stands beside the fields of a row's form."""

    def __init__(self, value: dict[str, Any], form: RowForm, texts: list[str]) -> None:
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
        names = [name for name, item in value.items() if name not in OF_FORM[form] and not says_nothing(item)]
        if options := option_names(names):
            if not stand_in(options_of(value, options), "\n".join(texts)):
                raise _refuse_of_question(options[0], "options", form)
            self.not_used += options
        self._has_options = bool(options)
        self._names = [name for name in names if name not in options]
        for name in self._names:
            self._see(name, value[name], texts)

    def _see(self, name: str, value: Any, texts: list[str]) -> None:
        sense, where = sense_of(name), _("the row")
        if name in FIELDS or (part_of(name) in ("question", "answer", "turns") and not is_speaker(name)):
            _refuse_other_form(name, value, texts)
            self.not_used.append(name)
        elif self._form == "text" and is_who_speaks(name) and isinstance(value, str):
            raise RowError(
                "unsupported_field",
                _("the row has '{key}': its text is one message of a conversation").format(
                    key=one_line(name, 30)
                ),
                _('write each conversation as {"messages": [...]}, or take it out where it is none'),
            )
        elif sense in ("system", "context") and means_nothing(value):
            self.not_used.append(name)
        elif sense == "system" and isinstance(value, str):
            if self.system and self.system.split() != value.split():
                raise RowError("two_systems", _("the row has two system texts"), _("keep one of them"))
            self.system, self.beside = value, name
        elif sense == "tools":
            self.tools, self.beside = read_tools(value, name), name
        elif sense in LEARNING:
            is_option = self._has_options and is_class_or_answer(name, value)
            if is_option or (says := is_learned(name, sense, value, where)) is None:
                self.not_used.append(name)
            elif not says:
                raise not_to_be_learned(name)
        elif sense is None or is_remark(sense, value):
            self.not_used.append(name)
        elif sense == "context":
            raise _refuse_of_question(name, sense, self._form)
        elif sense == "preference":
            raise refuse_preference(name, self._names, *_ANSWERS[self._form])
        else:
            raise refuse_field(name, sense, where)


def _refuse_of_question(name: str, sense: Sense, form: RowForm) -> RowError:
    """Return the refusal of what belongs to a question; beside turns or a text its place is not known."""
    fix = _("write it into the text")
    if form == "pair":
        fix = _("write it into the prompt, or let that be done: mqlora-tui import FILE")
    elif form == "messages" and sense == "context":
        fix = _(
            "write it into a turn, or let it be the system text: mqlora-tui import FILE --system {name}"
        ).format(name=one_line(shlex.quote(name), 60))
    return RowError("unsupported_field", refuse_field(name, sense, _("the row")).message, fix)


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
