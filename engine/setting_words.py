"""Settings as they are shown: their values and help texts in the user's language."""

from typing import Any

from engine.config import TrainingConfig
from engine.i18n import N_, _, number
from engine.i18n.numbers import with_separators
from engine.units import rate

_WORDS = (
    *(N_("constant"), N_("linear"), N_("cosine")),
    *(N_("packed"), N_("transient"), N_("resident")),
)
"""Values of `lr_schedule` and `frozen_weights` that are also words in sentences."""
_LARGE_RATE = 0.01
"""From which on a learning rate is written as other numbers are."""


def value_word(value: str) -> str:
    """Return a value of a setting as a word in the user's language; one that is no word as it is."""
    return _(value) if value in _WORDS else value


def value_text(value: Any) -> str:
    """Return a value of a setting as it is shown, and may be typed again, in the user's language."""
    return with_separators(str(value)) if isinstance(value, float) else str(value)


def setting_text(name: str, value: Any) -> str:
    """Return a setting's value as it is read in a sentence or a table, in the user's language."""
    if name == "learning_rate" and value < _LARGE_RATE:
        return rate(value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return number(value, "g")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def help_text(field: str) -> str:
    """Return the help text of a configuration field, in the user's language."""
    return _(TrainingConfig.model_fields[field].description or "")
