"""Which columns of a table are used for what, and a row of it as a row of ours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.dataset.cells import (
    answer_in,
    conversation_in,
    list_of_turns,
    ours,
    spoken_turns,
    text_if_any,
    text_in,
    turn,
    turns_before,
)
from engine.dataset.fields import answer_of, says_nothing, sense_of
from engine.dataset.names import is_speaker, part_of
from engine.dataset.parsing import RowError
from engine.i18n import _
from engine.text import one_line

Form = Literal["pair", "alpaca", "messages", "sharegpt", "interactions", "transcript", "text"]
"""Two columns; instruction and input for the prompt; turns with role and content; turns with from and value;
turns that say whether the user speaks; turns in one text; one column of plain text."""
_LISTED = 20


@dataclass(frozen=True)
class Mapping:
    """Names of the columns that are used; empty where there is none."""

    form: Form
    prompt: str = ""
    inputs: tuple[str, ...] = ()
    """Go below the prompt, each after a blank line, where they have a text; alone where that has none."""
    completion: str = ""
    system: str = ""
    turns: str = ""
    text: str = ""
    history: str = ""
    """Earlier questions with their answers, a list of pairs."""
    answer: str = ""
    """The one of several answers that is learned: a text, a turn, or turns."""
    ignored: tuple[str, ...] = ()
    """Columns that are named like a yes or a no and hold something else."""
    is_named: bool = False
    """Whether the user named the columns, and so left the others out."""
    is_fixed: bool = False
    """Whether it holds for all rows; else a row that it does not fit is read as its own fields say."""
    is_mixed: bool = False
    """Whether some of the first rows are of another form."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are used."""
        every = (self.prompt, *self.inputs, self.history, self.completion, self.system, self.turns)
        return tuple(name for name in (*every, self.answer, self.text) if name)

    @property
    def makes_turns(self) -> bool:
        """Whether rows are written as conversations: all of a file in one form."""
        return bool(self.turns or self.system or self.history or self.is_mixed)

    def honours(self, name: str) -> bool:
        """Whether a column that is not mapped still goes with its row, since it changes what that means."""
        sense = sense_of(name)
        if sense == "preference":  # one of the answers was chosen where such a column is used
            return not any(sense_of(column) == "preference" for column in self.columns)
        if sense == "context":  # a conversation has no place for it: the check of rows says so
            return not self.is_named and not (self.prompt or self.inputs)
        return sense is not None and name not in self.ignored

    def words(self, columns: Iterable[str]) -> str:
        """Say how `columns` are read, and what becomes of the others."""
        names = {
            "pair": _("pairs"),
            "alpaca": _("Alpaca"),
            "messages": _("messages"),
            "sharegpt": _("ShareGPT"),
            "interactions": _("interactions"),
            "transcript": _("turns in one text"),
            "text": _("plain text"),
        }
        prompt = " + ".join(_shown(name) for name in (self.history, self.prompt, *self.inputs) if name)
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
        if self.is_mixed:
            said = _("{said}; rows of other forms as their own fields say").format(said=said)
        return said + self._others([name for name in columns if name not in self.columns])

    def _others(self, names: Sequence[str]) -> str:
        """Say what becomes of the columns that are not mapped."""
        honoured = [name for name in names if self.honours(name)]
        rest = [name for name in names if name not in honoured]
        left = [name for name in rest if self.is_named and _is_meant(name)]
        compared = [name for name in rest if not self.is_named and not self.is_mixed and _is_meant(name)]
        unused = [name for name in rest if not _is_meant(name)]
        said = ""
        for words, listed in (
            (_("; taken into account: {names}"), honoured),
            (_("; left out as you chose: {names}"), left),
            (_("; only compared: {names}"), compared),
            (_("; not used: {names}"), unused),
        ):
            said += words.format(names=list_names(listed)) if listed else ""
        return said


def _is_meant(name: str) -> bool:
    """Whether a column of this name may belong to question or answer."""
    return (part_of(name) is not None and not is_speaker(name)) or sense_of(name) == "context"


def fits(value: dict[str, Any], mapping: Mapping) -> bool:
    """Whether a row has what a mapping reads, and no other question or answer."""
    learned = (mapping.turns, mapping.text, mapping.completion, mapping.answer)
    asked = (mapping.prompt, *mapping.inputs)
    return (
        any(not says_nothing(value.get(name)) for name in learned if name)
        and (not any(asked) or any(not says_nothing(value.get(name)) for name in asked if name))
        and not _left_out(value, mapping)
    )


def convert(value: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    """Return a row of a table as a row of ours, which is still to be checked.

    Fields that change what a row means stay in it: the check of rows honours or refuses them.

    Raises:
        RowError: a cell has no text, or one that may be question or answer would be left out.
    """
    _refuse_left_out(value, mapping)
    row = _kept(value, mapping)
    if mapping.text:
        return row | {"text": text_in(value, mapping.text)}
    if mapping.system and (system := text_if_any(value, mapping.system)):
        row["system"] = system
    if mapping.turns:
        turns = conversation_in(value.get(mapping.turns), mapping.turns)
        return row | {"messages": turns + (_answer(value, mapping.answer) if mapping.answer else [])}
    prompt, completion = _prompt(value, mapping), answer_in(value, mapping.answer or mapping.completion)
    if isinstance(asked := value.get(mapping.prompt), dict):
        row |= {name: item for name, item in asked.items() if sense_of(name)}
    if mapping.history and (turns := turns_before(value.get(mapping.history), mapping.history)):
        return row | {"messages": [*turns, *_side("user", prompt), *_side("assistant", completion)]}
    return row | {"prompt": prompt, "completion": completion}


def _kept(value: dict[str, Any], mapping: Mapping) -> dict[str, Any]:
    """Return the fields that are not mapped and change what a row means.

    Raises:
        RowError: one should say whether the row is learned, and does not.
    """
    columns = mapping.columns
    kept = {name: cell for name, cell in value.items() if name not in columns and mapping.honours(name)}
    for name, cell in kept.items():
        if sense_of(name) in ("label", "trained") and not says_nothing(cell) and answer_of(cell) is None:
            raise RowError(
                "unsupported_field",
                _("'{key}' is {value}, which is neither yes nor no").format(
                    key=one_line(name, 30), value=one_line(str(cell), 20)
                ),
                _("write true where the row is to be learned, else false"),
            )
    return kept


def _left_out(value: dict[str, Any], mapping: Mapping) -> list[str]:
    """Return the fields of a row that may be question or answer and would be left out."""
    columns = mapping.columns
    return [
        name
        for name, cell in value.items()
        if name not in columns
        and _is_meant(name)
        and not mapping.honours(name)
        and not says_nothing(cell)
        and not (mapping.answer and part_of(name) == "answer")
    ]


def _refuse_left_out(value: dict[str, Any], mapping: Mapping) -> None:
    """Refuse a row with another question or answer, unless it only says once more what is read.

    Raises:
        RowError: it says something else.
    """
    if mapping.is_named or not (names := _left_out(value, mapping)):
        return
    texts = [text for name in mapping.columns for text in _texts(value.get(name))]
    for name in names:
        said = _texts(value[name])
        is_whole = part_of(name) == "text" and all(text.strip() in said[0] for text in texts)
        if not is_whole and not all(any(text.strip() in other for other in texts) for text in said):
            raise RowError(
                "two_forms",
                _("'{name}' may be question or answer too, and would be left out").format(
                    name=one_line(name, 60)
                ),
                _("keep one of them")
                if mapping.turns
                else _("name all columns to use: --prompt COLUMN [--prompt COLUMN] --completion COLUMN"),
            )


def _texts(cell: Any) -> list[str]:
    """Return what is said in a cell."""
    if turns := [item for item in list_of_turns(cell) if isinstance(item, dict)]:
        return [str(said["content"]) for said in ours(turns)]
    return [] if says_nothing(cell) else [str(cell)]


def _prompt(value: dict[str, Any], mapping: Mapping) -> Any:
    """Return the question: a text, or a list of turns."""
    asked = value.get(mapping.prompt)
    if turns := list_of_turns(asked.get("messages") if isinstance(asked, dict) else asked):
        extra = [name for name in mapping.inputs if not says_nothing(value.get(name))]
        if extra:
            raise RowError(
                "unsupported_field",
                _("'{name}' stands beside a list of turns").format(name=one_line(extra[0], 60)),
                _("write it into a turn of the user"),
            )
        return ours(turns)
    extras = [text for name in mapping.inputs if (text := text_if_any(value, name))]
    if extras and says_nothing(asked):
        return "\n\n".join(extras)
    return "\n\n".join([text_in(value, mapping.prompt), *extras])


def _answer(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the turns of a chosen answer."""
    return _side("assistant", spoken_turns(value.get(name)) or answer_in(value, name))


def _side(role: str, said: Any) -> list[dict[str, Any]]:
    return said if isinstance(said, list) else [turn(role, said)]


def _shown(name: str) -> str:
    """Return a name for people; in quotes where a comma in it would make two of it."""
    return f"'{one_line(name, 40)}'" if "," in name else one_line(name, 40)


def list_names(names: Sequence[str]) -> str:
    """Return names for people, `_LISTED` at most."""
    more = _(" and {n} more").format(n=len(names) - _LISTED) if len(names) > _LISTED else ""
    return ", ".join(_shown(name) for name in names[:_LISTED]) + more
