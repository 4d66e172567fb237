"""What is in a cell of a table or a field of a row: a text, a list of turns, a history."""

import re
from collections.abc import Sequence
from typing import Any

from engine.dataset.jsonl.fields import says_nothing
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.refusals import refuse_several
from engine.i18n import _
from engine.sanitize import one_line

import msgspec

_SPEAKERS = {
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "bot", "model", "ai", "chatgpt", "chatbot"), "assistant"),
    **dict.fromkeys(("observation", "function_response", "tool_response"), "tool"),
}
_CALL = "function_call"
"""A speaker whose text is a call of a tool."""
_SAID = ("content", "value", "text", "parts")
_SPEAKS = ("role", "from", "is_user")
_MARK = re.compile(r"(?:^|\n\n)(Human|Assistant):")
"""Before each turn of a conversation that is written as one text."""


def text_in(value: dict[str, Any], name: str) -> str:
    """Return the text of a cell.

    Raises:
        RowError: it has none.
    """
    if text := text_if_any(value, name):
        return text
    message = _("'{name}' is empty") if name in value else _("'{name}' is missing")
    kind = "empty_field" if name in value else "missing_field"
    raise RowError(kind, message.format(name=one_line(name, 60)), advice())


def text_if_any(value: dict[str, Any], name: str) -> str:
    """Return the text of a cell, or its texts with blank lines between; nothing for null and for blanks.

    Raises:
        RowError: it is something else.
    """
    cell = value.get(name)
    if isinstance(cell, str):
        return "" if says_nothing(cell) else cell
    if isinstance(cell, dict) and set(cell) <= {"parts", "role"}:
        cell = cell.get("parts")
    texts = [_text_of_part(part) for part in (cell if isinstance(cell, list) else [cell])]
    if any(not isinstance(text, str) for text in texts if text is not None):
        fix = _("put the value in double quotes")
        if isinstance(cell, dict | list):
            fix = _("write it as one text, or name the columns to use: --prompt COLUMN --completion COLUMN")
        raise RowError("wrong_type", _("'{name}' is not text").format(name=one_line(name, 60)), fix)
    return "\n\n".join(text for text in texts if not says_nothing(text))


def _text_of_part(part: Any) -> Any:
    return part["text"] if isinstance(part, dict) and part.keys() == {"text"} else part


def answer_in(value: dict[str, Any], name: str) -> Any:
    """Return an answer: a text, or a list of turns.

    Raises:
        RowError: there is none, or there are several.
    """
    cell = value.get(name)
    if isinstance(cell, dict) and isinstance(cell.get("text"), list):  # as SQuAD has them
        cell = cell["text"]
    listed = list_of_turns(cell)
    if listed and not all(isinstance(item, str) for item in listed):
        return ours(listed)
    if isinstance(cell, dict):
        return ours([cell])
    if len(answers := list(dict.fromkeys(listed))) > 1:
        raise refuse_several(name)
    return text_in({name: answers[0]} if answers else value, name)


def turns_before(cell: Any, name: str) -> list[dict[str, Any]]:
    """Return the turns of a history: a list of pairs of question and answer, or of turns.

    Raises:
        RowError: it is something else.
    """
    pairs = list_of_turns(cell)
    if pairs and all(isinstance(turn, dict) for turn in pairs):
        return ours(pairs)
    is_other = not pairs and not says_nothing(cell) and cell != "[]"
    if is_other or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise RowError(
            "wrong_type", _("'{name}' is not a list of pairs").format(name=one_line(name, 60)), advice()
        )
    return [
        turn(role, said) for pair in pairs for role, said in zip(("user", "assistant"), pair, strict=True)
    ]


def list_of_turns(cell: Any) -> list[Any]:
    """Return the list in a cell, which may be JSON in a text; empty where there is none."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = msgspec.json.decode(cell)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return []
    return cell if isinstance(cell, list) else []


def conversation_in(cell: Any, name: str) -> list[dict[str, Any]]:
    """Return the turns of a whole conversation.

    Raises:
        RowError: the cell holds none.
    """
    turns = list_of_turns(cell) or spoken_turns(cell)
    if not turns:
        raise RowError(
            "wrong_type", _("'{name}' is not a list of turns").format(name=one_line(name, 60)), advice()
        )
    return ours(turns)


def spoken_turns(cell: Any) -> list[dict[str, Any]]:
    """Return the turns of a text in which `Human:` and `Assistant:` stand before them; empty where not."""
    if not isinstance(cell, str) or not cell.lstrip().startswith("Human:"):
        return []
    _before, *parts = _MARK.split(cell.strip())
    roles = ("user" if speaker == "Human" else "assistant" for speaker in parts[::2])
    return [turn(role, said.strip()) for role, said in zip(roles, parts[1::2], strict=True)]


def ours(turns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return turns with role and content; other fields stay, so that the check of rows sees them.

    Raises:
        RowError: one is no object.
    """
    found: list[dict[str, Any]] = []
    for number, item in enumerate(turns, start=1):
        if not isinstance(item, dict):
            raise RowError("wrong_type", _("turn {number} is not an object").format(number=number), advice())
        found += _said(item)
    return found


def _said(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what one entry of a conversation says: a turn, or a question with its answer."""
    if "user" in item and "assistant" in item and "role" not in item:
        rest = {key: value for key, value in item.items() if key not in ("user", "assistant")}
        return [turn("user", item["user"]), {**rest, **turn("assistant", item["assistant"])}]
    used = next(filter(item.__contains__, _SAID), "")
    rest = {}
    if len(item) > 2 or not used:  # more than who speaks and what is said
        rest = {key: value for key, value in item.items() if key != used and key not in _SPEAKS}
    said = item.get(used)
    if "is_user" in item:
        return [{**rest, **turn("user" if item["is_user"] else "assistant", said)}]
    speaker = item.get("role", item.get("from"))
    if isinstance(speaker, str):
        speaker = _SPEAKERS.get(speaker.lower(), speaker.lower())
    if speaker == _CALL:
        return [{**rest, **turn("assistant", ""), _CALL: said}]
    return [{**rest, **turn(speaker, said)}]


def turn(role: Any, content: Any) -> dict[str, Any]:
    """Return a turn as rows hold it."""
    return {"role": role, "content": content}


def advice() -> str:
    """Return what can be done about a row without its text."""
    return _("write it or drop the row")
