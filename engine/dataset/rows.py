"""Reading JSONL data files: every line becomes a row or a fault, none is lost."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.dataset.lines import Oddities, read_lines
from engine.dataset.parsing import RowError, parse_object
from engine.dataset.report import Fault
from engine.i18n import _
from engine.text import one_line

Message = dict[str, str]
Form = Literal["pair", "messages", "text"]
"""How a row is written."""
_FIELDS = ("prompt", "completion", "messages", "text")
_ROLES = ("system", "user", "assistant", "tool")
# What changes the meaning of a row elsewhere and is not read here: to pass over it would train on
# something else than the file says.
_UNREAD_OF_ROW = ("tools", "functions")
_UNREAD_OF_TURN = ("tool_calls", "function_call", "reasoning_content", "thinking", "weight")


@dataclass(frozen=True)
class Row:
    """One usable line: a conversation, or plain text to continue."""

    line: int
    """Line number from 1."""
    messages: tuple[Message, ...] = ()
    """Turns with `role` and `content`; a prompt/completion pair is two turns."""
    text: str = ""
    """Plain text, trained on as a whole; empty for a conversation."""
    form: Form = field(default="messages", compare=False)


class Forms:
    """Counts how the rows of a file are written."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._counts: Counter[Form] = Counter()
        self._first: dict[Form, int] = {}

    def see(self, row: Row) -> None:
        """Count a row."""
        self._counts[row.form] += 1
        self._first.setdefault(row.form, row.line)

    def faults(self, file: str) -> Iterator[Fault]:
        """Yield a warning where rows are written in several forms, at the first of the rarest."""
        if len(self._counts) > 1:
            shown = ", ".join(f"{count} {_FORM_NAMES[form]()}" for form, count in self._counts.most_common())
            yield Fault(
                file,
                self._first[self._counts.most_common()[-1][0]],
                None,
                "mixed_forms",
                "warning",
                _("rows are written in several forms: {forms}").format(forms=shown),
                _("see that none of them came in by mistake"),
            )


_FORM_NAMES: dict[Form, Callable[[], str]] = {
    "pair": lambda: _("prompt and completion"),
    "messages": lambda: _("messages"),
    "text": lambda: _("text"),
}


def read_rows(path: Path) -> Iterator[Row | Fault]:
    """Yield a `Row` or an error `Fault` for every line of `path` that is not blank; at the end what is odd.

    Raises:
        UserError: the file cannot be read at all.
    """
    odd, forms = Oddities(), Forms()
    for item in read_lines(path, odd):
        if isinstance(item, Fault):
            yield item
            continue
        line, raw = item
        found = _read(raw, line, path.name)
        if isinstance(found, Row):
            forms.see(found)
        yield found
    yield from odd.faults(path.name)
    yield from forms.faults(path.name)


def _read(raw: bytes, line: int, file: str) -> Row | Fault:
    try:
        return _row(parse_object(raw), line)
    except RowError as error:
        return Fault(file, line, error.column, error.kind, "error", error.message, error.fix)


def _row(value: dict[str, Any], line: int) -> Row:
    if "messages" in value:
        _refuse_unread(value, _UNREAD_OF_ROW, _("the row"))
        return Row(line, messages=_conversation(value["messages"]))
    if "prompt" in value or "completion" in value:
        prompt, completion = _text_field(value, "prompt"), _text_field(value, "completion")
        return _pair(line, prompt, completion)
    if "text" in value:
        return Row(line, text=_text_field(value, "text"), form="text")
    raise _missing("prompt", value)


def _pair(line: int, prompt: str, completion: str) -> Row:
    turns = ({"role": "user", "content": prompt}, {"role": "assistant", "content": completion})
    return Row(line, turns, form="pair")


def _text_field(value: dict[str, Any], name: str) -> str:
    if name not in value:
        raise _missing(name, value)
    text = value[name]
    if not isinstance(text, str):
        raise RowError(
            "wrong_type", _("'{name}' is not text").format(name=name), _("put the value in double quotes")
        )
    if not text.strip():
        raise RowError(
            f"empty_{name}", _("'{name}' is empty").format(name=name), _("write it or drop the row")
        )
    _refuse_odd_characters(text)
    return text


def _refuse_odd_characters(text: str) -> None:
    """Refuse zero and lone surrogates, which JSON's escapes can write and tokenizers stumble over."""
    if "\0" in text:
        raise RowError("nul", _("the text holds a zero character (\\u0000)"), _("take it out"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise RowError(
            "invalid_text",
            _("the text holds half a character (a lone \\ud800 to \\udfff)"),
            _("write the whole character"),
        ) from None


def _refuse_unread(value: dict[str, Any], keys: Sequence[str], where: str) -> None:
    """Refuse `keys` that say more than their absence; a weight of 1 is the usual one."""
    for key in keys:
        if value.get(key) not in (None, "", [], {}, 1):
            raise RowError(
                "unsupported_field",
                _("{where} has '{key}', which is not supported").format(where=where, key=key),
                _("write it into the content, or drop the row"),
            )


def _missing(name: str, value: dict[str, Any]) -> RowError:
    near = next(
        (key for key in value if difflib.get_close_matches(key.lower(), _FIELDS, n=1, cutoff=0.7)), None
    )
    fix = (
        _("rename '{key}'?").format(key=one_line(near, 30))
        if near and near not in _FIELDS
        else _("add it, or use messages or text")
    )
    return RowError("missing_field", _("'{name}' is missing").format(name=name), fix)


def _conversation(messages: Any) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        raise RowError(
            "wrong_type", _("'messages' is not a list of turns"), _('write [{"role": ..., "content": ...}]')
        )
    turns = tuple(_turn(turn, number) for number, turn in enumerate(messages, start=1))
    if not any(turn["role"] == "assistant" for turn in turns):
        raise RowError("no_assistant_turn", _("no turn of the assistant"), _("add the answer to learn"))
    return turns


def _turn(turn: Any, number: int) -> Message:
    where = _("turn {number}").format(number=number)
    if not isinstance(turn, dict) or turn.get("role") not in _ROLES:
        raise RowError(
            "wrong_role",
            _("{where} has no valid role").format(where=where),
            _("use one of: {roles}").format(roles=", ".join(_ROLES)),
        )
    _refuse_unread(turn, _UNREAD_OF_TURN, where)
    content = turn.get("content")
    if not isinstance(content, str) or (turn["role"] == "assistant" and not content.strip()):
        raise RowError(
            "empty_completion", _("{where} has no text").format(where=where), _("write it or drop the row")
        )
    _refuse_odd_characters(content)
    return {"role": turn["role"], "content": content}
