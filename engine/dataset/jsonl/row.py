"""One row: from an object to the turns or the text that it means, or to what is wrong with it."""

import difflib
from typing import Any

from engine.dataset.jsonl.field_names import part_of
from engine.dataset.jsonl.fields import says_nothing
from engine.dataset.jsonl.options import option_names, refuse_number
from engine.dataset.jsonl.other_fields import FIELDS, OF_FORM, Beside, RowForm
from engine.dataset.jsonl.parse import RowError, refuse_endless, refuse_odd_characters
from engine.dataset.jsonl.refusals import refuse_field, refuse_header, refuse_media, refuse_several
from engine.dataset.jsonl.turns import (
    Conversation,
    Message,
    add_system,
    is_blank,
    read_turns,
    require_answer,
    require_question,
    spoken,
)
from engine.i18n import _
from engine.sanitize import one_line

import msgspec


class Row(msgspec.Struct, frozen=True, gc=False):
    """One usable line: a conversation, or plain text to continue."""

    line: int
    """Line number from 1."""
    messages: tuple[Message, ...] = ()
    """Turns with `role` and `content`; a prompt/completion pair is two turns."""
    text: str = ""
    """Plain text, trained on as a whole; empty for a conversation."""
    untrained: tuple[int, ...] = ()
    """Indices of answers that are not to be learned."""
    tools: tuple[dict[str, Any], ...] = ()
    """Functions that the assistant may call, as chat templates take them."""

    @property
    def said(self) -> str:
        """All of its texts as one."""
        return "".join([self.text, *map(spoken, self.messages)])

    def value(self, as_turns: bool = False) -> dict[str, Any]:
        """Return the row as an object to be written.

        Args:
            as_turns: write a question and its answer as `messages` too.
        """
        if self.text:
            return {"text": self.text}
        roles = [turn["role"] for turn in self.messages]
        is_pair = roles == ["user", "assistant"] and not self.tools and len(self.messages[1]) == 2
        if is_pair and not as_turns:
            question, answer = self.messages
            return {"prompt": question["content"], "completion": answer["content"]}
        turns = [
            {**turn, "weight": 0} if index in self.untrained else turn
            for index, turn in enumerate(self.messages)
        ]
        return {"messages": turns, **({"tools": list(self.tools)} if self.tools else {})}


def row_of(value: dict[str, Any], line: int) -> tuple[Row, list[str]]:
    """Return the row of an object that was read elsewhere, and the names of the fields that are not used.

    Raises:
        RowError: it cannot be used.
    """
    _form, row, not_used = read_row(value, line)
    said = row.said
    refuse_endless(len(said), len(row.messages))
    refuse_odd_characters(said)
    return row, not_used


def read_row(value: dict[str, Any], line: int) -> tuple[RowForm, Row, list[str]]:
    """Return the form of an object, its row and the names of the fields that are not used.

    Args:
        value: the object.
        line: number of the row.

    Raises:
        RowError: it cannot be used.
    """
    refuse_header(value)
    form = _form(value)
    if form == "text":
        text = _text_field(value, "text")
        refuse_media(text, _("the row"))
        extra = Beside(value, form, [text])
        if extra.system or extra.tools:
            raise refuse_field(extra.beside, "tools", _("the row"))
        return form, Row(line, (), text), extra.not_used
    found = read_turns(value["messages"]) if form == "messages" else _pair(value)
    if len(value) == len(OF_FORM[form]):  # as nearly all rows are
        require_answer(found)
        require_question(found.turns, found.untrained)
        row = Row(line, tuple(found.turns), untrained=tuple(found.untrained))
        return form, row, found.not_used
    extra = Beside(value, form, [spoken(turn) for turn in found.turns])
    require_answer(found)
    turns, untrained = found.turns, found.untrained
    if extra.system:
        turns = add_system(turns, extra.system)
        shift = len(turns) - len(found.turns)
        untrained = [index + shift for index in untrained]
    require_question(turns, untrained)
    row = Row(line, tuple(turns), "", tuple(untrained), extra.tools)
    return form, row, extra.not_used + found.not_used


def _form(value: dict[str, Any]) -> RowForm:
    if "messages" in value:
        return "messages"
    if "prompt" in value or "completion" in value:
        return "pair"
    if "text" in value:
        return "text"
    raise _missing("prompt", value)


def _pair(value: dict[str, Any]) -> Conversation:
    """Read prompt and completion: two texts, or two lists of turns, of which the second is learned."""
    prompt, completion = value.get("prompt"), value.get("completion")
    if not _is_turns(prompt) and not _is_turns(completion):
        question, answer = _text_field(value, "prompt"), _text_field(value, "completion")
        refuse_media(question, _("the row"))
        return Conversation([{"role": "user", "content": question}, {"role": "assistant", "content": answer}])
    before = _side(value, "prompt", "user")
    after = _side(value, "completion", "assistant")
    learned_before = [index for index, turn in enumerate(before.turns) if turn["role"] == "assistant"]
    begin = len(before.turns)
    return Conversation(
        before.turns + after.turns,
        learned_before + [begin + index for index in after.untrained],
        before.not_used + after.not_used,
    )


def _is_turns(value: Any) -> bool:
    """Whether a field is a list of turns, and not one of texts."""
    return isinstance(value, list) and not all(isinstance(item, str) for item in value)


def _side(value: dict[str, Any], name: str, role: str) -> Conversation:
    if _is_turns(value.get(name)):
        return read_turns(value[name], name)
    return Conversation([{"role": role, "content": _text_field(value, name)}])


def _text_field(value: dict[str, Any], name: str) -> str:
    if name not in value:
        raise _missing(name, value)
    text = value[name]
    if isinstance(text, str) and not is_blank(text):
        return text
    if isinstance(text, str) or says_nothing(text):
        raise RowError(
            f"empty_{name}", _("'{name}' is empty").format(name=name), _("write it or drop the row")
        )
    raise _no_text(value, name)


def _no_text(value: dict[str, Any], name: str) -> RowError:
    """Return the fault of a field that should be a text and is something else."""
    item, fix = value[name], _("put the value in double quotes")
    if isinstance(item, list | dict):
        fix = _("write it as one text")
        if name == "completion" and isinstance(item, list) and any(other != item[0] for other in item):
            return refuse_several(name)
    elif name == "completion" and not isinstance(item, bool) and option_names(value):
        return refuse_number(item)
    return RowError("wrong_type", _("'{name}' is not text").format(name=name), fix)


def _missing(name: str, value: dict[str, Any]) -> RowError:
    """Return the fault of a row without a field, with the advice to rename one that is nearly right."""
    wanted = FIELDS if value.keys().isdisjoint(FIELDS) else (name,)
    fix = _("add it, or use messages or text")
    parts = {part_of(key) for key in value}
    if "turns" in parts or ("answer" in parts and parts & {"question", "input"}):
        fix = _("let the file be turned into rows: mqlora-tui import FILE")
    for key in value:
        near = difflib.get_close_matches(key.lower(), wanted, n=1, cutoff=0.7)
        if near and key not in FIELDS:
            fix = _("rename '{key}' to '{name}'?").format(key=one_line(key, 30), name=near[0])
            break
    return RowError("missing_field", _("'{name}' is missing").format(name=name), fix)
