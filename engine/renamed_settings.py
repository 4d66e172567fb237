"""Settings by the names that they had in earlier versions, which files and commands may still use."""

from collections.abc import Mapping
from typing import Any

from engine.errors import UserError
from engine.i18n import _

from pydantic import TypeAdapter, ValidationError

_BEFORE, _NOW = "train_on_prompt", "prompt_loss_weight"


def renamed(values: Mapping[str, Any], source: str = "") -> dict[str, Any]:
    """Return settings under their present names.

    `train_on_prompt` took the loss on prompts as on answers, or not at all: a `prompt_loss_weight` of 1 or 0.

    Args:
        values: by name, not yet checked.
        source: where they stand, such as a file or an option.

    Raises:
        UserError: both names are there and mean different weights, or the earlier one is no yes or no.
    """
    if _BEFORE not in values:
        return dict(values)
    weight = _weight(values[_BEFORE], source)
    rest = {name: value for name, value in values.items() if name != _BEFORE}
    if _NOW in rest and _number(rest[_NOW]) not in (weight, None):
        where = _(" in {source}").format(source=source) if source else ""
        raise UserError(
            _("'{before}' and '{now}'{where} contradict each other").format(
                before=_BEFORE, now=_NOW, where=where
            ),
            _("keep {now} alone: {before} is its earlier name, yes for 1 and no for 0").format(
                now=_NOW, before=_BEFORE
            ),
        )
    return {_NOW: weight, **rest}


def _weight(value: Any, source: str) -> float:
    try:
        return float(TypeAdapter(bool).validate_python(value))
    except ValidationError:
        where = _(" in {source}").format(source=source) if source else ""
        raise UserError(
            _("'{name}'{where} has to be yes or no").format(name=_BEFORE, where=where),
            _("better name the weight itself, as in {example}").format(example=f"{_NOW}=0.1"),
        ) from None


def _number(value: Any) -> float | None:
    """Return a value as a number; None where it is none, which is refused with the other values."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
