"""Reading JSONL data files: every line becomes a row or a fault, none is lost."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from engine.dataset.lines import Oddities, read_lines
from engine.dataset.parsing import RowError, parse_object
from engine.dataset.report import Fault
from engine.i18n import _
from engine.text import one_line

import msgspec

Message = dict[str, str]
Form = Literal["pair", "messages", "text"]
"""How a row is written."""
_FIELDS = ("prompt", "completion", "messages", "text")
_ROLES = ("system", "user", "assistant", "tool")
# White space, zero-width characters and byte order marks: a text of nothing else teaches nothing.
_UNSEEN = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff"
)
# What changes the meaning of a row elsewhere and is not read here: to pass over it would train on
# something else than the file says.
_UNREAD_OF_ROW = frozenset({"tools", "functions"})
_UNREAD_OF_TURN = frozenset({"tool_calls", "function_call", "reasoning_content", "thinking", "weight"})


class Row(msgspec.Struct, frozen=True, gc=False):
    """One usable line: a conversation, or plain text to continue."""

    line: int
    """Line number from 1."""
    messages: tuple[Message, ...] = ()
    """Turns with `role` and `content`; a prompt/completion pair is two turns."""
    text: str = ""
    """Plain text, trained on as a whole; empty for a conversation."""


class Forms:
    """Counts how the rows of a file are written."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._counts: Counter[Form] = Counter()
        self._first: dict[Form, int] = {}

    def see(self, form: Form, line: int) -> None:
        """Count a row."""
        self._counts[form] += 1
        if form not in self._first:
            self._first[form] = line

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


def read_rows(path: Path, begin: int = 1) -> Iterator[Row | Fault]:
    """Yield a `Row` or an error `Fault` for every line of `path` that is not blank; at the end what is odd.

    Args:
        path: of the file.
        begin: number of the first line to read.

    Raises:
        UserError: the file cannot be read at all.
    """
    odd, forms, name = Oddities(), Forms(), path.name
    for item in read_lines(path, odd, begin):
        if isinstance(item, Fault):
            yield item
            continue
        line, raw = item
        yield _read(raw, line, name, forms)
    yield from odd.faults(name)
    yield from forms.faults(name)


def row_of(value: dict[str, Any], line: int) -> Row:
    """Return the row of an object that was read elsewhere.

    Raises:
        RowError: it cannot be used.
    """
    _form, row = _row(value, line)
    _refuse_odd_characters(row)
    return row


def _read(raw: bytes, line: int, file: str, forms: Forms) -> Row | Fault:
    try:
        form, row = _row(parse_object(raw), line)
        if b"\\u" in raw:  # only escapes can write them
            _refuse_odd_characters(row)
    except RowError as error:
        return Fault(file, line, error.column, error.kind, "error", error.message, error.fix)
    forms.see(form, line)
    return row


def _row(value: dict[str, Any], line: int) -> tuple[Form, Row]:
    if "messages" in value:
        _refuse_unread(value, _UNREAD_OF_ROW)
        return "messages", Row(line, _conversation(value["messages"]))
    if "prompt" in value or "completion" in value:
        prompt, completion = _text_field(value, "prompt"), _text_field(value, "completion")
        turns = ({"role": "user", "content": prompt}, {"role": "assistant", "content": completion})
        return "pair", Row(line, turns)
    if "text" in value:
        return "text", Row(line, (), _text_field(value, "text"))
    raise _missing("prompt", value)


def _text_field(value: dict[str, Any], name: str) -> str:
    if name not in value:
        raise _missing(name, value)
    text = value[name]
    if not isinstance(text, str):
        raise RowError(
            "wrong_type", _("'{name}' is not text").format(name=name), _("put the value in double quotes")
        )
    if _is_blank(text):
        raise RowError(
            f"empty_{name}", _("'{name}' is empty").format(name=name), _("write it or drop the row")
        )
    return text


def _is_blank(text: str) -> bool:
    """Whether nobody would see anything; the first character nearly always tells."""
    return not text or (text[0] in _UNSEEN and not text.strip(_UNSEEN))


def _refuse_odd_characters(row: Row) -> None:
    """Refuse zero and lone surrogates, which JSON's escapes can write and tokenizers stumble over."""
    text = "".join([row.text, *(turn["content"] for turn in row.messages)])
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


def _refuse_unread(value: dict[str, Any], keys: frozenset[str], turn: int | None = None) -> None:
    """Refuse `keys` that say more than their absence; a weight of 1 is the usual one.

    Args:
        value: of the row, or of one of its turns.
        keys: what is not read.
        turn: the turn's number.
    """
    if keys.isdisjoint(value):
        return
    for key in keys & value.keys():
        if value[key] not in (None, "", [], {}, 1):
            where = _turn_name(turn) if turn else _("the row")
            raise RowError(
                "unsupported_field",
                _("{where} has '{key}', which is not supported").format(where=where, key=key),
                _("write it into the content, or drop the row"),
            )


def _turn_name(number: int) -> str:
    return _("turn {number}").format(number=number)


def _missing(name: str, value: dict[str, Any]) -> RowError:
    """Return the fault of a row without a field, with the advice to rename one that is nearly right."""
    wanted = _FIELDS if value.keys().isdisjoint(_FIELDS) else (name,)
    fix = _("add it, or use messages or text")
    for key in value:
        near = difflib.get_close_matches(key.lower(), wanted, n=1, cutoff=0.7)
        if near and key not in _FIELDS:
            fix = _("rename '{key}' to '{name}'?").format(key=one_line(key, 30), name=near[0])
            break
    return RowError("missing_field", _("'{name}' is missing").format(name=name), fix)


def _conversation(messages: Any) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        raise RowError(
            "wrong_type", _("'messages' is not a list of turns"), _('write [{"role": ..., "content": ...}]')
        )
    turns = [
        turn if _is_plain(turn) else _turn(turn, number) for number, turn in enumerate(messages, start=1)
    ]
    if "assistant" not in [turn["role"] for turn in turns]:
        raise RowError("no_assistant_turn", _("no turn of the assistant"), _("add the answer to learn"))
    return tuple(turns)


def _is_plain(turn: Any) -> bool:
    """Whether a turn is a role and its text and nothing else, as nearly all are."""
    if type(turn) is not dict or len(turn) != 2 or turn.get("role") not in _ROLES:
        return False
    content = turn.get("content")
    return type(content) is str and not _is_blank(content)


def _turn(turn: Any, number: int) -> Message:
    role = turn.get("role") if isinstance(turn, dict) else None
    if not isinstance(role, str) or role not in _ROLES:
        raise RowError(
            "wrong_role",
            _("{where} has no valid role").format(where=_turn_name(number)),
            _("use one of: {roles}").format(roles=", ".join(_ROLES)),
        )
    _refuse_unread(turn, _UNREAD_OF_TURN, number)
    content = turn.get("content")
    if content is not None and not isinstance(content, str):
        raise RowError(
            "wrong_type",
            _("{where}: 'content' is not text").format(where=_turn_name(number)),
            _("write what is said as one text in double quotes"),
        )
    if content is None or (role == "assistant" and _is_blank(content)):
        raise RowError(
            "empty_completion",
            _("{where} has no text").format(where=_turn_name(number)),
            _("write it or drop the row"),
        )
    return {"role": role, "content": content}
