"""What a tuning found: each candidate's loss, the best one, and whether it is better beyond chance."""

from dataclasses import dataclass
from typing import Any, Literal

from engine.analysis.noise import Difference
from engine.evaluation.results import Change

Outcome = Literal["better", "chance", "chosen"]
"""Of the best: better than the chosen settings; better, but perhaps by chance; or these themselves."""


@dataclass(frozen=True)
class Tried:
    """One candidate and what became of its run."""

    label: str
    values: dict[str, Any]
    """Settings that differ from the chosen ones."""
    folder: str
    """Of the run in the archive."""
    steps: int
    total_steps: int
    is_final: bool
    """Whether it was trained to the end."""
    loss: float | None
    """Lowest validation loss, nats per trained token; None where none was finite."""
    seconds: float
    """Of training."""


@dataclass(frozen=True)
class TuningResult:
    """What was found."""

    tried: tuple[Tried, ...]
    """In the order of the plan, the chosen settings first."""
    best: int
    """Place of the final with the lowest validation loss."""
    outcome: Outcome
    gain: Difference | None
    """By how much more the chosen settings lose on the validation rows than the best; None where the best is
    these themselves, or it cannot be told."""
    held_out: Change | None
    """The best one's loss above that of the chosen settings on `data/test.jsonl`; None without such rows."""
    untold: str = ""
    """Why the rows in `data/test.jsonl` tell nothing; empty where they do, or there are none."""
