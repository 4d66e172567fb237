"""What is known about the data before training: faults with their place, and token figures."""

from dataclasses import dataclass
from typing import Literal

LEFT_OUT = "left_out"
"""Kind of the note on a row that asks itself to be left out."""
Severity = Literal["error", "warning", "note"]
"""error: the row is left out of training; warning: it is used, but look at it; note: harmless or wanted."""


BINS = 24
"""Of a histogram."""
CheckStage = Literal["read", "compared", "counted"]
"""How far a report goes: faults of rows; duplicates and leaks too; tokens too."""


@dataclass(frozen=True)
class Place:
    """A row of a data file."""

    file: str
    line: int


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a data file."""

    file: str
    """File name, such as train.jsonl."""
    line: int
    """Line number from 1; 0 where the whole file is meant."""
    column: int | None
    """Column from 1 where it is known."""
    kind: str
    """Stable name, such as invalid_json, missing_field, empty_completion, no_trained_token."""
    severity: Severity
    message: str
    fix: str
    other: Place | None = None
    """The row that this one is a duplicate of."""

    @property
    def leaves_out(self) -> bool:
        """Whether its row is not trained on: for a fault, or because the row itself asks for it."""
        return self.severity == "error" or self.kind == LEFT_OUT


@dataclass(frozen=True)
class TokenFigures:
    """Token lengths of one file's examples under a model's tokenizer and a configuration."""

    shortest: int
    median: int
    longest: int
    total: int
    """Tokens of all usable examples after truncation: what one epoch costs."""
    trained: int
    """Those of `total` that carry loss."""
    cut: int
    """Tokens beyond `max_seq_length`, of all examples."""
    histogram: tuple[int, ...]
    """Examples in each of `BINS` equal bins from 0 to `longest`, before truncation."""
    prompt_histogram: tuple[int, ...]
    """The same for those tokens of an example that carry no loss."""
    completion_histogram: tuple[int, ...]
    """The same for those that do."""
    truncated_lines: tuple[int, ...]
    """Lines cut at `max_seq_length`."""
    dropped_lines: tuple[int, ...]
    """Lines left without a trained token, hence left out."""

    def within(self, limit: int) -> int:
        """Return about how many tokens the examples have that are cut at `limit` tokens.

        By the middles of the histogram's bins; exact where nothing is cut.
        """
        whole = self.total + self.cut
        if limit >= self.longest:
            return whole
        middles = ((index + 0.5) * self.longest / BINS for index in range(BINS))
        about = sum(min(middle, limit) * n for middle, n in zip(middles, self.histogram, strict=True))
        return min(whole, round(about))


@dataclass(frozen=True)
class FileReport:
    """One data file."""

    file: str
    rows: int
    """Lines that are not blank."""
    examples: int
    """What will be trained on or validated with."""
    faults: tuple[Fault, ...]
    tokens: TokenFigures | None
    """None where no model is at hand or no row is usable."""
    added_examples: int = 0
    """Examples beyond one a row: of conversations whose answers are trained on one by one."""

    @property
    def usable_rows(self) -> int:
        """Rows that will be used."""
        return self.examples - self.added_examples


@dataclass(frozen=True)
class DataReport:
    """Both files together, as the data screen and `validate` show them."""

    train: FileReport
    valid: FileReport
    steps_per_epoch: int
    model: str
    """Base model whose tokenizer is used; empty if none."""
    stage: CheckStage = "counted"
    """Without a base model nothing is counted."""
    model_faults: tuple[Fault, ...] = ()
    """What is to be said about the base model; with an error of it nothing can be trained."""

    @property
    def is_trainable(self) -> bool:
        """Whether the base model and at least one training and one validation example are usable."""
        is_usable = all(fault.severity != "error" for fault in self.model_faults)
        return is_usable and self.train.examples > 0 and self.valid.examples > 0

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, those of the base model first, then of the training file."""
        return self.model_faults + self.train.faults + self.valid.faults
