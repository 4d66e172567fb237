"""Which column of a table holds conversations, and in which form they are written."""

from collections.abc import Sequence
from typing import Any

from engine.dataset.convert.cells import list_of_turns, spoken_turns
from engine.dataset.convert.column_mapping import ColumnMapping, SourceForm
from engine.dataset.jsonl.field_names import FieldRole, part_of
from engine.dataset.jsonl.fields import sense_of

_ONE_SIDE: tuple[FieldRole, ...] = ("question", "input", "history", "answer")
"""Of a conversation: a list of turns in one of these is not all of it."""


def turns_column(names: Sequence[str], rows: Sequence[dict[str, Any]], answer: str) -> ColumnMapping | None:
    """Return a mapping for the column that holds conversations, if one does.

    Of several it is the one with a usual name; where there is none, nobody but the user can tell which is
    meant. A chosen answer may be a whole conversation.

    Args:
        names: of the columns.
        rows: the first ones.
        answer: name of the column with the answers to learn, where there are several.
    """
    if answer and (whole := _form_of_turns(answer, rows)) and _has_question(answer, rows):
        return ColumnMapping(whole, turns=answer)
    found = {name: form for name in names if (form := _form_of_turns(name, rows)) and _is_whole(name)}
    usual = [name for name in found if part_of(name) == "turns"] or list(found)
    if len(usual) != 1:
        return None
    return ColumnMapping(found[usual[0]], turns=usual[0], answer=answer)


def _is_whole(name: str) -> bool:
    """Whether a column of turns is a conversation: not one side of it, nor one of several answers."""
    return part_of(name) not in _ONE_SIDE and sense_of(name) is None


def _has_question(name: str, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the first conversation of a column also has a turn of the user."""
    for row in rows:
        if turns := list_of_turns(row.get(name)) or spoken_turns(row.get(name)):
            return any(
                isinstance(t, dict) and t.get("role", t.get("from")) in ("user", "human") for t in turns
            )
    return False


def _form_of_turns(name: str, rows: Sequence[dict[str, Any]]) -> SourceForm | None:
    """Return in which form the first conversation of a column is, None where there is none."""
    for row in rows:
        turns = list_of_turns(row.get(name))
        if spoken_turns(row.get(name)):
            return "transcript"
        if turns and all(isinstance(turn, dict) for turn in turns):
            first = turns[0]
            if "role" in first or "from" in first:
                return "messages" if "role" in first else "sharegpt"
            return "interactions" if "is_user" in first or {"user", "assistant"} <= first.keys() else None
    return None
