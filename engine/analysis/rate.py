"""Whether a run's learning rate was too high or too low, as the course of its loss shows."""

from typing import Literal

from engine.analysis.facts import RunSummary
from engine.analysis.outcome import LITTLE_PERCENT, outcome_of
from engine.config import TrainingConfig
from engine.optimizer_facts import RATE_FACTORS

RateSign = Literal["high", "low"]

RATES = (5e-5, 1e-4, 2e-4, 3e-4, 5e-4)
"""Learning rates of AdamW worth trying, from very conservative to aggressive."""
_SPIKES, _SPIKE_SHARE = 3, 0.02
"""So many jumps, and so many of all steps, are no odd batches any more."""
_SLOW = 0.25
"""Share of its fall that a loss still falls by in its last third where the rate is too low."""
_FAR_BELOW = 0.25
"""Of the rule of thumb: it is right to a factor of about two, and the rates of the profiles are a third of it
for small models."""


def rate_sign(run: RunSummary) -> RateSign | None:
    """Return what the course tells of the learning rate; None if nothing.

    Too high: it broke, both losses rose again, it rose at first, it jumped again and again. Too low: it did
    not fall, or it fell slowly to the end at a rate far below the rule of thumb.
    """
    outcome = outcome_of(run)
    match outcome:
        case "no_steps" | "zero_loss" | "too_short" | "odd_end":
            return None
        case "diverged" | "worsened":
            return "high"
        case "flat":
            return _sign_of_flat(run)
    if run.early_rise is not None or is_jumping(run):
        return "high"
    return "low" if outcome == "still_falling" and _is_slow(run) else None


def is_jumping(run: RunSummary) -> bool:
    """Whether the loss jumped up again and again at a rate that may be why.

    Up to the rule of thumb it is not: steps of few short rows jump by the rows that they meet.
    """
    if run.config and run.usual_rate and run.config.learning_rate <= run.usual_rate:
        return False
    return run.spikes >= max(_SPIKES, _SPIKE_SHARE * run.steps)


def lower_rate(config: TrainingConfig) -> float:
    """Return the next lower learning rate that is worth trying."""
    now = config.learning_rate
    return max((value for value in _rates(config) if value < now * 0.999), default=now / 2)


def higher_rate(run: RunSummary, config: TrainingConfig) -> float | None:
    """Return the next higher one, or that near the rule of thumb if the rate is far below it."""
    now = config.learning_rate
    higher = [value for value in _rates(config) if value > now * 1.001]
    if run.usual_rate and now < _FAR_BELOW * run.usual_rate:
        return max((value for value in higher if value <= run.usual_rate * 1.001), default=run.usual_rate)
    return higher[0] if higher else None


def _sign_of_flat(run: RunSummary) -> RateSign | None:
    change = run.improvement_percent
    if run.skipped_steps or (change is not None and change < -LITTLE_PERCENT):
        return "high"
    return "low" if run.config and higher_rate(run, run.config) else None


def _rates(config: TrainingConfig) -> list[float]:
    factor = RATE_FACTORS[config.optimizer]
    return [float(f"{factor * value:.1e}") for value in RATES]


def _is_slow(run: RunSummary) -> bool:
    if run.config is None or run.usual_rate is None or run.late_share is None:
        return False
    return run.late_share >= _SLOW and run.config.learning_rate < _FAR_BELOW * run.usual_rate
