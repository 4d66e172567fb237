"""One row as the model sees it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PreviewToken:
    """One token of a row."""

    text: str
    trained: bool
    """Carries loss."""
    cut: bool
    """Beyond `max_seq_length`."""
    special: bool
    """A control token of the model, such as an end-of-turn mark."""
