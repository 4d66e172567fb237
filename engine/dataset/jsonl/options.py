"""The options of a multiple choice: which fields hold them, and how they stand below the question."""

import re
from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Any

from engine.dataset.jsonl.field_names import plain
from engine.dataset.jsonl.fields import label_of, says_nothing, sense_of
from engine.dataset.jsonl.parse import RowError
from engine.i18n import _
from engine.sanitize import one_line

import msgspec

Option = tuple[str, str]
"""Its label, empty where it has none, and its text."""
_LETTERS = frozenset("abcdefgh")
_LABELLED = re.compile(r"\s*\(?([A-Za-z]|\d{1,2})[.):]\s*")
"""How an option begins that has its label in its text."""
_LONGEST_LABEL = 2
_WAY_OUT = _("write the letter or the text of the right one as the answer")


def option_names(names: Iterable[str]) -> list[str]:
    """Return the fields that hold options: lists of them, single ones, or columns A, B … where both are."""
    bare = {name: plain(name) for name in names}
    letters = _LETTERS if {"a", "b"} <= set(bare.values()) else frozenset[str]()
    return [name for name, short in bare.items() if short in letters or sense_of(name) == "options"]


def options_of(value: dict[str, Any], names: Sequence[str]) -> list[Option]:
    """Return the options of a row.

    Args:
        value: the row.
        names: of the fields that hold them.

    Raises:
        RowError: one of these holds none.
    """
    return _with_own_labels([option for name in names for option in _options_in(value.get(name), name)])


def stand_in(options: Sequence[Option], text: str) -> bool:
    """Whether a text has all options already."""
    return all(said in text for _label, said in options)


def below_question(options: Sequence[Option], question: str, answer: Any) -> str:
    """Return options as they stand below a question, a line each; nothing where they stand in it already.

    Raises:
        RowError: the answer is a number, or a letter that names none of them.
    """
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        raise refuse_number(answer)
    if stand_in(options, question):
        return ""
    if all(label for label, _text in options):
        _refuse_unknown(options, answer)
    return "\n".join(f"{label}. {text}" if label else text for label, text in options)


def refuse_number(answer: float) -> RowError:
    """Return the refusal of an answer beside options that is a number and no text."""
    message = _("the answer is the number {answer}, which may count the options from 0 or from 1")
    return RowError("unknown_option", message.format(answer=one_line(str(answer), 20)), _WAY_OUT)


def _options_in(cell: Any, name: str) -> list[Option]:
    cell = _decoded(cell)
    if says_nothing(cell):
        return []
    label = label_of(name) or (plain(name).upper() if plain(name) in _LETTERS else "")
    if label or isinstance(cell, str):
        return [(label, _text(cell, name))]
    if isinstance(cell, dict):
        texts, labels = cell.get("text"), cell.get("label")
        if isinstance(texts, list) and isinstance(labels, list) and len(texts) == len(labels):
            cell = dict(zip(map(str, labels), texts, strict=True))
        return [(label, _text(text, name)) for label, text in cell.items()]
    if isinstance(cell, list) and len(cell) <= len(ascii_uppercase):
        return [_of_list(item, label, name) for label, item in zip(ascii_uppercase, cell, strict=False)]
    raise _no_options(name)


def _of_list(item: Any, label: str, name: str) -> Option:
    """Return an option of a list: a text, or an object with a text and perhaps another label."""
    if isinstance(item, dict):
        label = str(item.get("label", item.get("id", label)))
        item = item.get("text", item.get("content"))
    return label, _text(item, name)


def _text(value: Any, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _no_options(name)
    return str(value).strip()


def _with_own_labels(options: list[Option]) -> list[Option]:
    """Return options with the labels that their texts begin with, where all of them do."""
    found = [_LABELLED.match(text) for _label, text in options]
    own = [(match[1].upper(), match.string[match.end() :]) for match in found if match]
    return own if len(own) == len(options) > 1 else options


def _decoded(cell: Any) -> Any:
    """Return what a cell holds, which in a table may be JSON in a text."""
    if isinstance(cell, str) and cell.lstrip().startswith(("[", "{")):
        try:
            return msgspec.json.decode(cell)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return cell
    return cell


def _refuse_unknown(options: Sequence[Option], answer: Any) -> None:
    said = answer.strip(" .()") if isinstance(answer, str) else ""
    known = {label.upper() for label, _text in options}
    if 0 < len(said) <= _LONGEST_LABEL and said.upper() not in known:
        if any(said == text for _label, text in options):
            return
        raise RowError(
            "unknown_option",
            _("the answer '{answer}' names none of the options {labels}").format(
                answer=one_line(said), labels=one_line(", ".join(label for label, _text in options), 60)
            ),
            _WAY_OUT,
        )


def _no_options(name: str) -> RowError:
    return RowError(
        "wrong_type",
        _("'{name}' is no list of options").format(name=one_line(name, 60)),
        _("write the options into the question, each with its letter"),
    )
