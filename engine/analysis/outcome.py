"""What became of a run: the one judgement that its verdict, its advice and its report follow."""

from itertools import takewhile
from typing import Literal

from engine.analysis.facts import RunSummary

Outcome = Literal[
    "no_steps",
    "zero_loss",
    "diverged",
    "odd_end",
    "too_short",
    "flat",
    "not_validated",
    "no_gain",
    "unproven",
    "worsened",
    "overfitted",
    "by_heart",
    "still_falling",
    "slightly_overfitted",
    "healthy",
]
"""The first that is true of a run:

- no_steps: it has made none, or none can be read.
- zero_loss: the loss of every step was exactly 0.
- diverged: it broke, see `Divergence`.
- odd_end: the loss of the last steps jumped, and a validation after them found nothing wrong.
- too_short: finished after fewer steps than a judgement needs.
- flat: neither loss fell although there was time for it.
- not_validated: nothing tells what it learnt.
- no_gain: validation was never better than before the first step.
- unproven: validation got better, but no more than rows differ by chance.
- worsened: validation ended clearly above its best, and the training loss rose with it.
- overfitted: validation ended clearly above its best.
- by_heart: the gap between validation and training grew wide.
- still_falling: the end came while both losses were getting better, validation beyond noise.
"""
Divergence = Literal["validations", "steps", "jump", "rise", "validation"]
"""What shows it: the last validations were not finite, several of the last steps were not, the loss of
the last step is far above all before, the loss has lost again what it had gained or is far above that of
the untrained model, or the last validation is."""

LEAST_DRAWN = 2
"""Steps that a chart needs."""
FEW_STEPS = 10
"""Charts and judgements need about so many steps."""
LITTLE_PERCENT = 5.0
"""A loss that fell by less did not fall."""
_LEVEL_STEPS = 6  # from which on the last level is the median of three
_SETTLED_STEPS = 50  # before that a flat loss may still be the warm-up
_STILL_FALLING = 0.05  # share by which the last third lies below the second
_MANY_SKIPPED = 3  # of the last ten steps
_LOST_AGAIN = 0.5  # share of what was gained
_LEAST_JUMP = 1.0  # nats
_BEYOND_NOISE = 6.0  # standard deviations that no step is off by chance
_CLEARLY = 2.0  # the same for the mean of many steps


def outcome_of(run: RunSummary) -> Outcome:
    """Return what became of a run, as far as it has come."""
    if not run.steps:
        return "no_steps"
    if run.epoch_losses and not any(loss for _epoch, loss in run.epoch_losses):
        return "zero_loss"
    divergence = divergence_of(run)
    if divergence:
        return "odd_end" if divergence == "jump" and _is_disproved(run) else "diverged"
    if run.steps < FEW_STEPS and run.status == "finished":
        return "too_short"
    if _is_flat(run):
        return "flat"
    return _judged_by_validation(run)


def divergence_of(run: RunSummary) -> Divergence | None:
    """Return what shows that a run broke; None if nothing does."""
    if run.failed_at_end:
        return "validations"
    if run.skipped_at_end >= _MANY_SKIPPED:
        return "steps"
    if _has_blown_up(run) or (_has_risen(run) and not _is_best_at_its_end(run)):
        return "rise"
    # One step of a run that goes on may be a freak; the next one tells.
    if run.status != "running" and odd_steps(run):
        return "jump"
    return "validation" if is_beyond(run.last_val_loss, run.initial_val_loss) else None


def _judged_by_validation(run: RunSummary) -> Outcome:
    if run.best_val_loss is None:
        return "not_validated"
    if not run.has_helped:
        return "no_gain"
    if run.has_risen_in_both:
        return "worsened"
    if run.overfitting == "significant":
        return "overfitted" if run.has_risen else "by_heart"
    if run.is_gain_chance:
        return "unproven"
    if _is_still_falling(run):
        return "still_falling"
    return "slightly_overfitted" if run.overfitting == "slight" else "healthy"


def is_unreadable(run: RunSummary) -> bool:
    """Whether nothing is known of the steps because no line of the metrics can be read."""
    return not run.steps and run.unreadable_lines > 0


def odd_steps(run: RunSummary) -> int:
    """Return how many of the last finite losses, in a row, lie far above first level and late median."""
    if run.first_loss is None or run.late_loss is None:
        return 0
    limit = max(run.first_loss, run.late_loss) + _margin(run)
    return sum(1 for _loss in takewhile(lambda loss: loss > limit, reversed(run.end_losses)))


def _is_disproved(run: RunSummary) -> bool:
    """Whether the model was validated after its last step and is as good as before it."""
    return run.last_val_step == run.steps and not run.has_risen


def is_beyond(loss: float | None, untrained: float | None) -> bool:
    """Whether a loss is so far above that of the untrained model that overfitting does not explain it."""
    return loss is not None and untrained is not None and loss > 2 * untrained + _LEAST_JUMP


def _has_blown_up(run: RunSummary) -> bool:
    """Whether the loss is far above that of the untrained model, however soon it came there."""
    return run.steps >= _LEVEL_STEPS and is_beyond(run.late_loss, run.untrained_loss)


def _has_risen(run: RunSummary) -> bool:
    first, late, lowest = run.first_loss, run.late_loss, run.lowest_loss
    if first is None or late is None or lowest is None or run.steps < 2 * FEW_STEPS:
        return False
    has_learnt = first - lowest > first * LITTLE_PERCENT / 100
    lost_again = late - lowest > _rise_that_counts(run)
    return (has_learnt and lost_again) or late > first + _margin(run)


def _rise_that_counts(run: RunSummary) -> float:
    gained = (run.first_loss or 0.0) - (run.lowest_loss or 0.0)
    return max(_LOST_AGAIN * gained, _CLEARLY * (run.loss_noise or 0.0))


def _is_best_at_its_end(run: RunSummary) -> bool:
    """Whether validation got better to its last time, when the training loss had risen already."""
    if run.initial_val_loss is None or not run.has_helped or run.best_step != run.last_val_step:
        return False
    late, then = run.late_loss, run.loss_at_validation
    return late is not None and then is not None and late - then <= _rise_that_counts(run)


def _margin(run: RunSummary) -> float:
    return max(_LEAST_JUMP, _BEYOND_NOISE * (run.loss_noise or 0.0))


def _is_flat(run: RunSummary) -> bool:
    change, initial, best = run.improvement_percent, run.initial_val_loss, run.best_val_loss
    if change is None or change >= LITTLE_PERCENT or run.steps < _SETTLED_STEPS:
        return False
    return initial is None or best is None or best > initial * (1 - LITTLE_PERCENT / 100)


def _is_still_falling(run: RunSummary) -> bool:
    if run.late_fall is None or run.late_fall < _STILL_FALLING or run.last_loss is None:
        return False
    if run.enough_step is not None and run.enough_step != run.best_step:
        return False
    # Means of a third of the steps each differ by chance, too.
    by_chance = _CLEARLY * (run.loss_noise or 0.0) * (6 / run.steps) ** 0.5
    return run.wasted_steps == 0 and run.late_fall * run.last_loss > by_chance
