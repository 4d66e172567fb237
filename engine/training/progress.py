"""Where a run stands: everything that a checkpoint must remember besides arrays."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from engine.training.events import StepMetrics

from pydantic import TypeAdapter

MOST_GROUPS = 256
"""Into so many groups the validation rows are dealt, one row each where there are no more rows: what is
kept of a validation has a bound, and differences between groups still tell how much chance there is."""


@dataclass(frozen=True)
class Scored:
    """The first micro-batches of the validation set, scored with the weights of one step."""

    batches: int = 0
    total: float = 0.0
    """Sum of their losses, nats."""
    tokens: int = 0
    """Trained tokens in them."""
    rows: int = 0
    """How many rows they have."""
    groups: tuple[float, ...] = ()
    """The same sum for each group of rows: row r, by length, is in group r modulo `MOST_GROUPS`."""

    def plus(self, losses: Sequence[float], tokens: int) -> "Scored":
        """Return this with one more micro-batch.

        Args:
            losses: summed loss of each of its rows, nats.
            tokens: trained tokens in it.
        """
        total, groups = self.total + math.fsum(losses), dealt(losses, self.rows, self.groups)
        return Scored(self.batches + 1, total, self.tokens + tokens, self.rows + len(losses), groups)

    @property
    def mean(self) -> float:
        """Mean loss in nats per trained token."""
        return self.total / self.tokens if self.tokens else math.nan  # others may be done before the first


NOTHING = Scored()


def dealt(values: Sequence[float], first: int = 0, before: Sequence[float] = ()) -> tuple[float, ...]:
    """Add the values of some rows up by their groups.

    Args:
        values: of rows that follow each other.
        first: number of the first of them, from 0.
        before: the sums of the rows before it.
    """
    groups = list(before)
    for row, value in enumerate(values, first):
        if row < MOST_GROUPS:
            groups.append(value)
        else:
            groups[row % MOST_GROUPS] += value
    return tuple(groups)


@dataclass
class Progress:
    """The position of a run. Epoch and place in the epoch follow from `step`."""

    step: int = 0
    """Optimizer steps done."""
    initial_val_loss: float | None = None
    """Validation loss before the first step; None until it was measured, which may be after that step."""
    best_step: int | None = None
    best_val_loss: float | None = None
    evaluations_since_best: int = 0
    non_finite_steps: int = 0
    """Steps in a row whose loss or gradient was not finite."""
    learning_rate_factor: float = 1.0
    """Halved once when the run had to be rolled back."""
    elapsed_s: float = 0.0
    """Seconds of training so far, pauses left out."""
    pending: StepMetrics | None = None
    """The last step, if its validation is to be made yet: only then is its line whole."""
    scored: Scored | None = None
    """As far as that validation came, or that before the first step, when it was cut short."""

    @property
    def lines(self) -> int:
        """Steps whose line in the metrics files is whole."""
        return self.step - (self.pending is not None)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready copy; `scored` is left out where there is nothing."""
        values = asdict(self)
        return values if self.scored else {name: values[name] for name in values if name != "scored"}

    @classmethod
    def parse(cls, values: dict[str, Any]) -> "Progress":
        """Read what `as_dict` wrote.

        Raises:
            ValueError: it is something else, or more.
        """
        progress = _adapter().validate_json(json.dumps(values), strict=True)
        if values.keys() - asdict(progress).keys():
            raise ValueError("there is more in it")
        return progress


@cache
def _adapter() -> TypeAdapter[Progress]:
    return TypeAdapter(Progress)
