"""Whether a row or a turn is to be learned, as the fields beside its texts say."""

import re
from typing import Any

from engine.dataset.jsonl.field_names import plain
from engine.dataset.jsonl.fields import Sense, answer_of
from engine.dataset.jsonl.parse import RowError
from engine.i18n import _
from engine.sanitize import one_line

_REJECTED = ("rejected", "deleted", "discarded", "rejeitado", "rejeitada")
"""What a status says of a row that nobody wants."""
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")


def is_class_or_answer(name: str, value: Any) -> bool:
    """Whether a field is a `label` that is a number: of a class, or 0 and 1 for bad and good answers."""
    if plain(name) != "label" or isinstance(value, bool):
        return False
    is_written = isinstance(value, str) and _NUMBER.fullmatch(value.strip())
    return bool(is_written) or isinstance(value, int | float)


def is_learned(name: str, sense: Sense | None, value: Any, where: str) -> bool | None:
    """Return whether a field says that its row or turn is to be learned; None where it says neither.

    Args:
        name: of the field.
        sense: one of `LEARNING`.
        value: of the field.
        where: the row or the turn, in words.

    Raises:
        RowError: a weight that is neither 0 nor 1, since all examples count the same here; a mask: some
            programs learn what it marks, and others the rest; or a label that is a number.
    """
    if is_class_or_answer(name, value):
        raise RowError(
            "unsupported_field",
            _("{where} has '{key}' {value}: a class, or whether the answer is a good one").format(
                where=where, key=one_line(name, 30), value=one_line(str(value), 20)
            ),
            _("write true or false where the answer is a good or a bad one; take it out where it is a class"),
        )
    if sense == "status":
        return False if isinstance(value, str) and value.strip().lower() in _REJECTED else None
    answer = answer_of(value)
    if sense == "masked" and (answer is not None or not isinstance(value, str)):
        raise RowError(
            "unsupported_field",
            _("{where} has '{key}', which in some programs means to learn it and in others not to").format(
                where=where, key=one_line(name, 30)
            ),
            _('write "train": false where it is not to be learned, and else take it out'),
        )
    if sense == "weight":
        return _counts(name, value, where)
    return not answer if sense == "excluded" and answer is not None else answer


def _counts(name: str, value: Any, where: str) -> bool:
    """Return whether a weight is 1 and not 0."""
    if isinstance(value, str) and (answer := answer_of(value)) is not None:
        return answer
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = -1.0
    if weight not in (0.0, 1.0):
        raise RowError(
            "unsupported_field",
            _("{where} has '{key}' {value}: only 0 and 1 can be told apart here").format(
                where=where, key=one_line(name, 30), value=one_line(str(value), 20)
            ),
            _("take it out, or give the weight 0 or 1"),
        )
    return weight == 1.0
