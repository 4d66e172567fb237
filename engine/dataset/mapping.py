"""Which columns of a table are used for what, and a row of it as a row of ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.dataset.fields import says_nothing, sense_of
from engine.dataset.parsing import RowError
from engine.i18n import _
from engine.text import one_line

import msgspec

Form = Literal["pair", "alpaca", "messages", "sharegpt", "interactions", "text"]
"""Two columns; instruction and input for the prompt; turns with role and content; turns with from and value;
turns that say whether the user speaks; one column of plain text."""
_SPEAKERS = {
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "bot", "model", "ai", "chatgpt", "chatbot"), "assistant"),
    **dict.fromkeys(("observation", "function_response", "tool_response"), "tool"),
}
_CALL = "function_call"
"""A speaker whose text is a call of a tool."""
_OF_TURN = ("role", "from", "content", "value", "text", "is_user")
_LISTED = 20


@dataclass(frozen=True)
class Mapping:
    """Names of the columns that are used; empty where there is none."""

    form: Form
    prompt: str = ""
    input: str = ""
    """Goes below the prompt, after a blank line, where it has a text; alone where the prompt has none."""
    completion: str = ""
    system: str = ""
    turns: str = ""
    text: str = ""
    history: str = ""
    """Earlier questions with their answers, a list of pairs."""
    answer: str = ""
    """The one of several answers that is learned: a text, a turn, or turns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used."""
        every = (self.prompt, self.input, self.history, self.completion, self.system, self.turns)
        return tuple(name for name in (*every, self.answer, self.text) if name)

    @property
    def makes_turns(self) -> bool:
        """Whether rows are written as conversations: all of a file in one form."""
        return bool(self.turns or self.system or self.history)

    def honours(self, name: str) -> bool:
        """Whether a column that is not mapped still goes with its row, since it changes what that means."""
        sense = sense_of(name)
        if sense == "preference":  # one of the answers was chosen where such a column is used
            return not any(sense_of(column) == "preference" for column in self.columns)
        return sense is not None and sense != "context"

    def words(self, columns: Iterable[str]) -> str:
        """Say how `columns` are read, and which are not used."""
        names = {
            "pair": _("pairs"),
            "alpaca": _("Alpaca"),
            "messages": _("messages"),
            "sharegpt": _("ShareGPT"),
            "interactions": _("interactions"),
            "text": _("plain text"),
        }
        prompt = " + ".join(_shown(name) for name in (self.history, self.prompt, self.input) if name)
        parts = [
            f"{left} → {right}"
            for left, right in (
                (_shown(self.system), _("system")),
                (prompt, _("prompt")),
                (_shown(self.completion), _("completion")),
                (_shown(self.turns), _("turns")),
                (_shown(self.answer), _("answer")),
                (_shown(self.text), _("text")),
            )
            if left
        ]
        said = _("read as {form}: {parts}").format(form=names[self.form], parts=", ".join(parts))
        unused = [name for name in columns if name not in self.columns and not self.honours(name)]
        if heeded := [name for name in columns if name not in self.columns and self.honours(name)]:
            said = _("{said}; heeded: {names}").format(said=said, names=list_names(heeded))
        return _("{said}; not used: {names}").format(said=said, names=list_names(unused)) if unused else said


def convert(value: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    """Return a row of a table as a row of ours, which is still to be checked.

    Fields that change what a row means stay in it: the check of rows honours or refuses them.

    Raises:
        RowError: a cell has no text.
    """
    row = _kept(value, mapping)
    if mapping.text:
        return row | {"text": _text(value, mapping.text)}
    if mapping.system and (system := _optional(value, mapping.system)):
        row["system"] = system
    if mapping.turns:
        turns = _conversation(value.get(mapping.turns), mapping.turns)
        return row | {"messages": turns + (_answer(value, mapping.answer) if mapping.answer else [])}
    prompt, completion = _prompt(value, mapping), _completion(value, mapping)
    if mapping.history and (turns := _earlier(value.get(mapping.history), mapping.history)):
        return row | {"messages": [*turns, *_side("user", prompt), *_side("assistant", completion)]}
    return row | {"prompt": prompt, "completion": completion}


def _kept(value: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    """Return the fields that are not mapped and change what a row means.

    What belongs to a question is not among them: whoever names the columns has left it out.
    """
    columns = mapping.columns
    return {name: cell for name, cell in value.items() if name not in columns and mapping.honours(name)}


def _prompt(value: dict[str, Any], mapping: Mapping) -> Any:
    """Return the question: a text, or a list of turns."""
    if turns := list_of_turns(value.get(mapping.prompt)):
        return _ours(turns)
    extra = _optional(value, mapping.input) if mapping.input else ""
    if extra and says_nothing(value.get(mapping.prompt)):
        return extra
    prompt = _text(value, mapping.prompt)
    return f"{prompt}\n\n{extra}" if extra else prompt


def _completion(value: dict[str, Any], mapping: Mapping) -> Any:
    """Return the answer: a text, or a list of turns."""
    name = mapping.answer or mapping.completion
    if turns := list_of_turns(value.get(name)):
        return _ours(turns)
    if isinstance(value.get(name), dict):
        return _ours([value[name]])
    return _text(value, name)


def _answer(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the turns of a chosen answer."""
    cell = value.get(name)
    if isinstance(cell, dict):
        return _ours([cell])
    return _ours(list_of_turns(cell)) or [_turn("assistant", _text(value, name))]


def _side(role: str, said: Any) -> list[dict[str, Any]]:
    return said if isinstance(said, list) else [_turn(role, said)]


def _earlier(cell: Any, name: str) -> list[dict[str, Any]]:
    """Return the turns of a history, a list of pairs of question and answer."""
    pairs = list_of_turns(cell)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise RowError(
            "wrong_type", _("'{name}' is not a list of pairs").format(name=one_line(name, 60)), _advice()
        )
    return [
        _turn(role, said) for pair in pairs for role, said in zip(("user", "assistant"), pair, strict=True)
    ]


def list_of_turns(cell: Any) -> list[Any]:
    """Return the list in a cell, which may be JSON in a text; empty where there is none."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        try:
            cell = msgspec.json.decode(cell)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return []
    return cell if isinstance(cell, list) else []


def _conversation(cell: Any, name: str) -> list[dict[str, Any]]:
    turns = list_of_turns(cell)
    if not turns:
        raise RowError(
            "wrong_type", _("'{name}' is not a list of turns").format(name=one_line(name, 60)), _advice()
        )
    return _ours(turns)


def _ours(turns: Sequence[Any]) -> list[dict[str, Any]]:
    """Return turns with role and content; other fields stay, so that the check of rows sees them."""
    found: list[dict[str, Any]] = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict):
            raise RowError("wrong_type", _("turn {number} is not an object").format(number=number), _advice())
        found += _said(turn)
    return found


def _said(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what one entry of a conversation says: a turn, or a question with its answer."""
    if "user" in turn and "assistant" in turn and "role" not in turn:
        rest = {key: item for key, item in turn.items() if key not in ("user", "assistant")}
        return [_turn("user", turn["user"]), {**rest, **_turn("assistant", turn["assistant"])}]
    rest = {key: item for key, item in turn.items() if key not in _OF_TURN}
    said = next((turn[key] for key in ("content", "value", "text") if key in turn), None)
    if "is_user" in turn:
        return [{**rest, **_turn("user" if turn["is_user"] else "assistant", said)}]
    speaker = str(turn.get("role", turn.get("from"))).lower()
    if speaker == _CALL:
        return [{**rest, **_turn("assistant", ""), _CALL: said}]
    return [{**rest, **_turn(_SPEAKERS.get(speaker, speaker), said)}]


def _turn(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def _text(value: dict[str, Any], name: str) -> str:
    text = _optional(value, name)
    if text:
        return text
    message = _("'{name}' is empty") if name in value else _("'{name}' is missing")
    kind = "empty_field" if name in value else "missing_field"
    raise RowError(kind, message.format(name=one_line(name, 60)), _advice())


def _optional(value: dict[str, Any], name: str) -> str:
    """Return the text of a cell; nothing for null, for blanks and where there is none."""
    text = value.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise RowError(
            "wrong_type",
            _("'{name}' is not text").format(name=one_line(name, 60)),
            _("put the value in double quotes"),
        )
    return text if text.strip() else ""


def _advice() -> str:
    return _("write it or drop the row")


def _shown(name: str) -> str:
    return one_line(name, 40)


def list_names(names: Sequence[str]) -> str:
    """Return names for people, `_LISTED` at most."""
    more = _(" and {n} more").format(n=len(names) - _LISTED) if len(names) > _LISTED else ""
    return ", ".join(_shown(name) for name in names[:_LISTED]) + more
