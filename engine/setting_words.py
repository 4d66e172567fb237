"""Settings as they are shown: their values and help texts in the user's language."""

from typing import Any

from engine.config import TrainingConfig
from engine.i18n import N_, _
from engine.i18n.numbers import with_separators

_WORDS = (
    *(N_("constant"), N_("linear"), N_("cosine")),
    *(N_("packed"), N_("transient"), N_("resident")),
)
"""Values of `lr_schedule` and `frozen_weights` that are also words in sentences."""


def value_word(value: str) -> str:
    """Return a value of a setting as a word in the user's language; one that is no word as it is."""
    return _(value) if value in _WORDS else value


def value_text(value: Any) -> str:
    """Return a value of a setting as it is shown, and may be typed again, in the user's language."""
    return with_separators(str(value)) if isinstance(value, float) else str(value)


def help_text(field: str) -> str:
    """Return the help text of a configuration field, in the user's language."""
    return _(TrainingConfig.model_fields[field].description or "")
