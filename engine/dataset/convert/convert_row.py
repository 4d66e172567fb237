"""A row of a table as a row of ours."""

from typing import Any

from engine.dataset.convert.cells import (
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
from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.jsonl.field_names import part_of
from engine.dataset.jsonl.fields import (
    YES_OR_NO,
    is_remark,
    means_nothing,
    says_nothing,
    sense_of,
)
from engine.dataset.jsonl.learned import is_learned
from engine.dataset.jsonl.options import below_question, options_of
from engine.dataset.jsonl.parse import RowError
from engine.dataset.jsonl.refusals import refuse_header, refuse_preference
from engine.i18n import _
from engine.sanitize import one_line


def fits(value: dict[str, Any], mapping: ColumnMapping) -> bool:
    """Whether a row has what a mapping reads, and no other question or answer."""
    learned = (mapping.answer,) if mapping.answer else (mapping.turns, mapping.text, mapping.completion)
    asked = (mapping.prompt, *mapping.inputs)
    return (
        any(not says_nothing(value.get(name)) for name in learned if name)
        and (not any(asked) or any(not says_nothing(value.get(name)) for name in asked if name))
        and not _left_out(value, mapping)
    )


def convert(value: dict[str, Any], mapping: ColumnMapping) -> dict[str, Any]:
    """Return a row of a table as a row of ours, which is still to be checked.

    Fields that change what a row means stay in it: the check of rows honours or refuses them.

    Raises:
        RowError: a cell has no text, or one that may be question or answer would be left out.
    """
    refuse_header(value)
    row = _kept(value, mapping)
    _refuse_left_out(value, mapping)
    if mapping.text:
        return row | {"text": text_in(value, mapping.text)}
    empty = _means_nothing(value, mapping)
    if mapping.system and mapping.system not in empty and (system := text_if_any(value, mapping.system)):
        row["system"] = system
    if mapping.turns:
        turns = conversation_in(value.get(mapping.turns), mapping.turns)
        return row | {"messages": turns + (_answer(value, mapping.answer) if mapping.answer else [])}
    prompt, completion = _prompt(value, mapping), answer_in(value, mapping.answer or mapping.completion)
    if isinstance(asked := value.get(mapping.prompt), dict):
        row |= {name: item for name, item in asked.items() if sense_of(name)}
    history = "" if mapping.history in empty else mapping.history
    if history and (turns := turns_before(value.get(history), history)):
        return row | {"messages": [*turns, *_side("user", prompt), *_side("assistant", completion)]}
    return row | {"prompt": prompt, "completion": completion}


def _kept(value: dict[str, Any], mapping: ColumnMapping) -> dict[str, Any]:
    """Return the fields that are not mapped and change what a row means.

    Raises:
        RowError: one should say whether the row is learned, and does not, or holds one of several answers.
    """
    kept = {name: value[name] for name in mapping.fates(value)["kept"]}
    for name, cell in kept.items():
        if says_nothing(cell):
            continue
        if sense_of(name) == "preference" and not is_remark("preference", cell):
            learned = mapping.completion or mapping.turns or mapping.text
            raise refuse_preference(name, kept, learned, "--text" if mapping.text else "--answer")
        if sense_of(name) in YES_OR_NO and is_learned(name, sense_of(name), cell, _("the row")) is None:
            raise RowError(
                "unsupported_field",
                _("'{key}' is {value}, which is neither yes nor no").format(
                    key=one_line(name, 30), value=one_line(str(cell), 20)
                ),
                _("write true where the row is to be learned, else false"),
            )
    return kept


def not_used_of(value: dict[str, Any], mapping: ColumnMapping) -> list[str]:
    """Return the fields of a row that do not go into its row of ours, though they say something."""
    fates = mapping.fates(value)
    names = [name for name in fates["meant"] + fates["unused"] if not says_nothing(value[name])]
    names += _means_nothing(value, mapping)
    if isinstance(asked := value.get(mapping.prompt), dict):
        names += [name for name in asked if name not in ("messages", "parts", "role") and not sense_of(name)]
    return names


def _means_nothing(value: dict[str, Any], mapping: ColumnMapping) -> list[str]:
    """Return the columns of what belongs to a question that say in a row that there is nothing."""
    contexts = (name for name in mapping.inputs if name not in mapping.options)
    return [name for name in (*contexts, mapping.history, mapping.system) if means_nothing(value.get(name))]


def _left_out(value: dict[str, Any], mapping: ColumnMapping) -> list[str]:
    """Return the fields of a row that may be question or answer and would be left out."""
    return [name for name in mapping.fates(value)["meant"] if not says_nothing(value[name])]


def _refuse_left_out(value: dict[str, Any], mapping: ColumnMapping) -> None:
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


def _prompt(value: dict[str, Any], mapping: ColumnMapping) -> Any:
    """Return the question: a text, or a list of turns."""
    asked, empty = value.get(mapping.prompt), _means_nothing(value, mapping)
    filled = [name for name in mapping.inputs if name not in empty]
    if turns := list_of_turns(asked.get("messages") if isinstance(asked, dict) else asked):
        extra = [name for name in filled if not says_nothing(value.get(name))]
        if extra:
            raise RowError(
                "unsupported_field",
                _("'{name}' stands beside a list of turns").format(name=one_line(extra[0], 60)),
                _("write it into a turn of the user"),
            )
        return ours(turns)
    contexts = [name for name in filled if name not in mapping.options]
    extras = [text for name in contexts if (text := text_if_any(value, name))]
    if extras and says_nothing(asked):
        question = "\n\n".join(extras)
    else:
        question = "\n\n".join([text_in(value, mapping.prompt), *extras])
    if not mapping.options:
        return question
    answer = value.get(mapping.answer or mapping.completion)
    options = below_question(options_of(value, mapping.options), question, answer)
    return f"{question}\n\n{options}" if options else question


def _answer(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the turns of a chosen answer."""
    return _side("assistant", spoken_turns(value.get(name)) or answer_in(value, name))


def _side(role: str, said: Any) -> list[dict[str, Any]]:
    return said if isinstance(said, list) else [turn(role, said)]
