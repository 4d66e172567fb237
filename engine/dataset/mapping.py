"""Which columns of a table are used for what, and a row of it as a row of ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.dataset.parsing import RowError
from engine.i18n import _
from engine.text import one_line

import msgspec

Form = Literal["pair", "alpaca", "messages", "sharegpt", "text"]
"""Two columns; instruction and input for the prompt; turns with role and content; turns with from and value;
one column of plain text."""
_SPEAKERS = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_LISTED = 20


@dataclass(frozen=True)
class Mapping:
    """Names of the columns that are used; empty where there is none."""

    form: Form
    prompt: str = ""
    input: str = ""
    """Goes below the prompt, after a blank line, where it has a text."""
    completion: str = ""
    system: str = ""
    turns: str = ""
    text: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used."""
        every = (self.prompt, self.input, self.completion, self.system, self.turns, self.text)
        return tuple(name for name in every if name)

    def words(self, columns: Iterable[str]) -> str:
        """Say how `columns` are read, and which are not used."""
        names = {
            "pair": _("pairs"),
            "alpaca": _("Alpaca"),
            "messages": _("messages"),
            "sharegpt": _("ShareGPT"),
            "text": _("plain text"),
        }
        prompt = " + ".join(_shown(name) for name in (self.prompt, self.input) if name)
        parts = [
            f"{left} → {right}"
            for left, right in (
                (_shown(self.system), _("system")),
                (prompt, _("prompt")),
                (_shown(self.completion), _("completion")),
                (_shown(self.turns), _("turns")),
                (_shown(self.text), _("text")),
            )
            if left
        ]
        said = _("read as {form}: {parts}").format(form=names[self.form], parts=", ".join(parts))
        unused = [name for name in columns if name not in self.columns]
        return _("{said}; not used: {names}").format(said=said, names=list_names(unused)) if unused else said


def convert(value: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    """Return a row of a table as a row of ours, which is still to be checked.

    Of a conversation all columns stay: the check of rows refuses some, such as tools.

    Raises:
        RowError: a cell has no text.
    """
    if mapping.text:
        return {"text": _text(value, mapping.text)}
    system = [_turn("system", _optional(value, mapping.system))] if mapping.system else []
    if mapping.turns:
        turns = _conversation(value.get(mapping.turns), mapping.turns)
        return {**value, "messages": [turn for turn in system if turn["content"]] + turns}
    prompt, completion = _text(value, mapping.prompt), _text(value, mapping.completion)
    if extra := _optional(value, mapping.input) if mapping.input else "":
        prompt = f"{prompt}\n\n{extra}"
    if not mapping.system:
        return {"prompt": prompt, "completion": completion}
    turns = [*system, _turn("user", prompt), _turn("assistant", completion)]
    return {"messages": [turn for turn in turns if turn["content"]]}


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
    return [_ours(turn, number) for number, turn in enumerate(turns, start=1)]


def _ours(turn: Any, number: int) -> dict[str, Any]:
    """Return a turn with role and content; other keys stay, so that the check of rows sees them."""
    if not isinstance(turn, dict):
        raise RowError("wrong_type", _("turn {number} is not an object").format(number=number), _advice())
    speaker, said = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    rest = {key: item for key, item in turn.items() if key not in ("role", "from", "content", "value")}
    role = _SPEAKERS.get(str(speaker).lower(), str(speaker).lower())
    return {**rest, **_turn(role, said)}


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
