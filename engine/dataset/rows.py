"""Reading JSONL data files: every line becomes a row or a fault, none is lost."""

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.dataset.report import Fault
from engine.errors import UserError
from engine.i18n import _
from engine.text import one_line

Message = dict[str, str]
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


class _RowError(Exception):
    """What is wrong with one line."""

    def __init__(self, kind: str, message: str, fix: str, column: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.fix, self.column = kind, message, fix, column


def read_rows(path: Path) -> Iterator[Row | Fault]:
    """Yield a `Row` or an error `Fault` for every line of `path` that is not blank.

    Raises:
        UserError: the file cannot be read at all.
    """
    try:
        with path.open("rb") as file:
            for line, raw in enumerate(file, start=1):
                raw = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
                if raw.strip():
                    yield _read(raw, line, path.name)
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=path, reason=error.strerror),
            _("put the file there, one JSON object a line, or run: mqlora-tui demo"),
        ) from None


def _read(raw: bytes, line: int, file: str) -> Row | Fault:
    try:
        return _row(_parse(raw), line)
    except _RowError as error:
        return Fault(file, line, error.column, error.kind, "error", error.message, error.fix)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _RowError(
            "invalid_utf8",
            _("byte {byte} is not UTF-8").format(byte=error.start + 1),
            _("save the file as UTF-8"),
            error.start + 1,
        ) from None
    except json.JSONDecodeError as error:
        raise _RowError(
            "invalid_json",
            _("not JSON: {reason}").format(reason=error.msg.lower()),
            _("mend the line or drop it"),
            error.colno,
        ) from None
    except RecursionError:
        raise _RowError("invalid_json", _("JSON is nested too deeply"), _("drop the line")) from None
    except ValueError:  # Python refuses integers of more than 4300 digits
        raise _RowError("invalid_json", _("a number has too many digits"), _("drop the line")) from None
    if not isinstance(value, dict):
        raise _RowError(
            "not_an_object", _("the line is not a JSON object"), _('write {"prompt": ..., "completion": ...}')
        )
    return value


def _row(value: dict[str, Any], line: int) -> Row:
    if "messages" in value:
        _refuse_unread(value, _UNREAD_OF_ROW, _("the row"))
        return Row(line, messages=_conversation(value["messages"]))
    if "prompt" in value or "completion" in value:
        prompt, completion = _text_field(value, "prompt"), _text_field(value, "completion")
        turns = ({"role": "user", "content": prompt}, {"role": "assistant", "content": completion})
        return Row(line, messages=turns)
    if "text" in value:
        return Row(line, text=_text_field(value, "text"))
    raise _missing("prompt", value)


def _text_field(value: dict[str, Any], name: str) -> str:
    if name not in value:
        raise _missing(name, value)
    text = value[name]
    if not isinstance(text, str):
        raise _RowError(
            "wrong_type", _("'{name}' is not text").format(name=name), _("put the value in double quotes")
        )
    if not text.strip():
        raise _RowError(
            f"empty_{name}", _("'{name}' is empty").format(name=name), _("write it or drop the row")
        )
    _refuse_half_characters(text)
    return text


def _refuse_half_characters(text: str) -> None:
    """Refuse lone surrogates, which JSON's escapes can write and no tokenizer can read."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _RowError(
            "invalid_text",
            _("the text holds half a character (a lone \\ud800 to \\udfff)"),
            _("write the whole character"),
        ) from None


def _refuse_unread(value: dict[str, Any], keys: Sequence[str], where: str) -> None:
    """Refuse `keys` that say more than their absence; a weight of 1 is the usual one."""
    for key in keys:
        if value.get(key) not in (None, "", [], {}, 1):
            raise _RowError(
                "unsupported_field",
                _("{where} has '{key}', which is not supported").format(where=where, key=key),
                _("write it into the content, or drop the row"),
            )


def _missing(name: str, value: dict[str, Any]) -> _RowError:
    near = next(
        (key for key in value if difflib.get_close_matches(key.lower(), _FIELDS, n=1, cutoff=0.7)), None
    )
    fix = (
        _("rename '{key}'?").format(key=one_line(near, 30))
        if near and near not in _FIELDS
        else _("add it, or use messages or text")
    )
    return _RowError("missing_field", _("'{name}' is missing").format(name=name), fix)


def _conversation(messages: Any) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        raise _RowError(
            "wrong_type", _("'messages' is not a list of turns"), _('write [{"role": ..., "content": ...}]')
        )
    turns = tuple(_turn(turn, number) for number, turn in enumerate(messages, start=1))
    if not any(turn["role"] == "assistant" for turn in turns):
        raise _RowError("no_assistant_turn", _("no turn of the assistant"), _("add the answer to learn"))
    return turns


def _turn(turn: Any, number: int) -> Message:
    where = _("turn {number}").format(number=number)
    if not isinstance(turn, dict) or turn.get("role") not in _ROLES:
        raise _RowError(
            "wrong_role",
            _("{where} has no valid role").format(where=where),
            _("use one of: {roles}").format(roles=", ".join(_ROLES)),
        )
    _refuse_unread(turn, _UNREAD_OF_TURN, where)
    content = turn.get("content")
    if not isinstance(content, str) or (turn["role"] == "assistant" and not content.strip()):
        raise _RowError(
            "empty_completion", _("{where} has no text").format(where=where), _("write it or drop the row")
        )
    _refuse_half_characters(content)
    return {"role": turn["role"], "content": content}
