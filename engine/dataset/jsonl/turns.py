"""The turns of a conversation: roles, texts, calls of tools, and which answers are to be learned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.dataset.jsonl.fields import LEARNING, is_remark, says_nothing, sense_of
from engine.dataset.jsonl.learned import is_learned
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.refusals import may_show_media, refuse_field, refuse_media
from engine.dataset.jsonl.tools import read_calls
from engine.dataset.report import LEFT_OUT
from engine.i18n import _
from engine.sanitize import json_text, one_line

Message = dict[str, Any]
"""A turn: `role` and `content`, both text; of the assistant also `tool_calls`, a list, and of a tool
`tool_call_id` and `name`, as chat templates read them."""
ROLES = ("system", "user", "assistant", "tool")
_SAME_ROLE = {"developer": "system", "function": "tool"}
"""Other names of roles, which mean nothing else."""
_CALLS = ("tool_calls", "function_call")
_THOUGHT = ("channel", "analysis")
"""Field of a turn of gpt-oss that is no answer but the thoughts before it."""
_OF_TOOL = ("tool_call_id", "name")
# White space, zero-width characters and byte order marks: a text of nothing else teaches nothing.
_UNSEEN = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff"
)


@dataclass
class Conversation:
    """Turns that were read."""

    turns: list[Message] = field(default_factory=list)
    untrained: list[int] = field(default_factory=list)
    """Indices of answers that are not to be learned."""
    not_used: list[str] = field(default_factory=list)
    """Names of fields of turns that are not used."""


def read_turns(messages: Any, name: str = "messages") -> Conversation:
    """Read a list of turns.

    Args:
        messages: the list.
        name: of the field that holds it.

    Raises:
        RowError: it is none, or a turn cannot be used.
    """
    if not isinstance(messages, list) or not messages:
        raise RowError(
            "wrong_type",
            _("'{name}' is not a list of turns").format(name=one_line(name, 30)),
            _('write [{"role": ..., "content": ...}]'),
        )
    found = Conversation()
    for number, turn in enumerate(messages, start=1):
        if _is_plain(turn):
            found.turns.append(turn)
        else:
            _add_turn(found, turn, number)
    return found


def require_answer(found: Conversation) -> None:
    """Refuse a conversation without an answer that is to be learned.

    Raises:
        RowError: there is none.
    """
    answers = [index for index, turn in enumerate(found.turns) if turn["role"] == "assistant"]
    if not answers:
        raise RowError("no_assistant_turn", _("no turn of the assistant"), _("add the answer to learn"))
    if len(answers) == len(found.untrained):
        raise RowError(
            LEFT_OUT,
            _("none of its answers is to be learned: it is left out"),
            _("nothing, or take the fields out that say so"),
        )


def require_question(turns: Sequence[Message], untrained: Sequence[int]) -> None:
    """Refuse a conversation that begins with an answer which is to be learned: nothing asks for it.

    Args:
        turns: of the conversation, with its system text.
        untrained: indices of answers that are not to be learned.

    Raises:
        RowError: it does.
    """
    if turns[0]["role"] == "assistant" and 0 not in untrained:
        raise RowError(
            "no_question",
            _("the answer comes before any question"),
            _('begin with a turn of the user or the system, or write "weight": 0 into this one'),
        )


def add_system(turns: list[Message], text: str) -> list[Message]:
    """Return turns that begin with a system text which stands beside them.

    Raises:
        RowError: they begin with another one.
    """
    if not turns or turns[0]["role"] != "system" or is_blank(turns[0]["content"]):
        rest = turns[1:] if turns and turns[0]["role"] == "system" else turns
        return [{"role": "system", "content": text}, *rest]
    if turns[0]["content"].split() != text.split():
        raise RowError(
            "two_systems",
            _("the row has a system text beside its system turn"),
            _("keep one of them"),
        )
    return turns


def spoken(turn: Message) -> str:
    """Return what is said in a turn, calls of tools included."""
    calls = turn.get("tool_calls")
    if not calls:
        return str(turn["content"])
    return "\n".join([turn["content"], *map(json_text, calls)]).strip()


def is_blank(text: str) -> bool:
    """Whether nobody would see anything; the first character nearly always tells."""
    return not text or (text[0] in _UNSEEN and not text.strip(_UNSEEN))


def _is_plain(turn: Any) -> bool:
    """Whether a turn is a role and its text and nothing else, as nearly all are."""
    if type(turn) is not dict or len(turn) != 2 or turn.get("role") not in ROLES:
        return False
    content = turn.get("content")
    return type(content) is str and not is_blank(content) and not may_show_media(content)


def _add_turn(found: Conversation, turn: Any, number: int) -> None:
    where = _("turn {number}").format(number=number)
    role = turn.get("role") if isinstance(turn, dict) else None
    role = _SAME_ROLE.get(role, role) if isinstance(role, str) else None
    if role not in ROLES:
        raise RowError(
            "wrong_role",
            _wrong_role(turn, where),
            _("use one of: {roles}").format(roles=", ".join(ROLES)),
        )
    may_be_learned = _read_fields(found, turn, role, where)
    calls = read_calls(turn, where) if role == "assistant" else []
    content = _content(turn.get("content"), where, role == "tool")
    if (content is None and not calls) or (role == "assistant" and not calls and is_blank(content or "")):
        raise RowError(
            "empty_completion", _("{where} has no text").format(where=where), _("write it or drop the row")
        )
    if role != "assistant":
        refuse_media(content or "", where)
    if role == "assistant" and not may_be_learned:
        found.untrained.append(len(found.turns))
    read: Message = {"role": role, "content": content or ""}
    if calls:
        read["tool_calls"] = calls
    if role == "tool":
        read |= {key: turn[key] for key in _OF_TOOL if isinstance(turn.get(key), str)}
    found.turns.append(read)


def _wrong_role(turn: Any, where: str) -> str:
    """Say what is wrong with the role of a turn."""
    if not isinstance(turn, dict):
        return _("{where} is not an object").format(where=where)
    if says_nothing(turn.get("role")):
        return _("{where} has no role").format(where=where)
    role = one_line(json_text(turn["role"]), 40)
    return _("{where} has the role {role}, which is not known").format(where=where, role=role)


def _read_fields(found: Conversation, turn: dict[str, Any], role: str, where: str) -> bool:
    """Look at what a turn has besides role and content; return whether it is to be learned."""
    may_be_learned = True
    for key, value in turn.items():
        if key in ("role", "content") or says_nothing(value):
            continue
        sense = sense_of(key)
        if (role == "assistant" and key in _CALLS) or (role == "tool" and key in _OF_TOOL):
            continue
        if sense in LEARNING and not (sense == "label" and role != "assistant"):
            says = is_learned(key, sense, value, where)
            if says is None:
                found.not_used.append(key)
            elif says and sense == "trained" and role != "assistant":
                raise refuse_field(key, sense, where)
            may_be_learned &= says is not False
        elif (key, value) == _THOUGHT:
            raise refuse_field(key, "reasoning", where)
        elif key in _CALLS or not (sense == "label" or is_remark(sense, value)):
            raise refuse_field(key, sense or "tools", where)
        else:
            found.not_used.append(key)
    return may_be_learned


def _content(content: Any, where: str, may_be_data: bool) -> str | None:
    """Return the text of a turn; a list of text parts is joined.

    Raises:
        RowError: it is no text.
    """
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and content and all(isinstance(part, dict | str) for part in content):
        return "".join(_part(part, where) for part in content)
    if may_be_data and isinstance(content, dict):
        return json_text(content)
    raise RowError(
        "wrong_type",
        _("{where}: 'content' is not text").format(where=where),
        _("write what is said as one text in double quotes"),
    )


def _part(part: dict[str, Any] | str, where: str) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text", part.get("content"))
    if part.get("type", "text") in ("text", "input_text", "output_text") and isinstance(text, str):
        return text
    kind = one_line(str(part.get("type")), 30)
    raise refuse_field(kind, sense_of(kind) or "media", where)


def answers_of(turns: Sequence[Message]) -> list[int]:
    """Return the indices of the assistant's turns."""
    return [index for index, turn in enumerate(turns) if turn["role"] == "assistant"]
