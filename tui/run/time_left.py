"""How long a run still takes: its steps, and the validations between them and at its end."""

import math

from engine.config import TrainingConfig
from engine.training.history import Floats, RunHistory
from engine.training.state import RunState

import numpy as np

_WINDOW = 50
"""Steps over which the time of one step is averaged."""


def steps_made(history: RunHistory, state: RunState | None) -> int:
    """Return the optimizer steps that were made, that one included whose validation is under way."""
    written = int(history.step[-1]) if len(history) else 0
    return max(written, state.unvalidated or 0) if state and state.is_alive else written


def seconds_per_step(history: RunHistory, state: RunState | None) -> float | None:
    """Return the mean time of the last 50 steps, with checkpoints and validations but the first.

    Before a pause the machine may have been another, or busier: as soon as the present session has made
    two steps only its own count.

    Args:
        history: of the run.
        state: tells where the session began.
    """
    gaps = _gaps(history, state)
    return float(np.mean(gaps)) if len(gaps) else None


def seconds_left(history: RunHistory, state: RunState | None, config: TrainingConfig | None) -> float | None:
    """Return the time of the steps and validations to come, with the answers and checkpoints after these.

    What comes after a step with a validation takes longer than a step alone; the difference is what a
    validation takes. Before the first of them that is what the validation of the base model took.

    Args:
        history: of the run.
        state: of the run; tells how long it is.
        config: of the run; tells when it is validated.
    """
    gaps, counted = _gaps(history, state), _counted(history, state)
    if state is None or not len(gaps):
        return None
    is_after = np.isfinite(history.val_loss[counted][:-1])
    step = float(np.mean(gaps if is_after.all() else gaps[~is_after]))
    validation = 0.0
    if is_after.any():
        validation = max(0.0, float(np.mean(gaps[is_after])) - step)
    elif history.step[0] == 1 and (counted.start == 0 or not state.resumed_at):
        first, second = history.elapsed_s[:2].tolist()
        validation = max(0.0, max(first, second - first) - step)
    made = steps_made(history, state)
    total = max(state.total_steps, made)
    under_way = 0.0
    if made > int(history.step[-1]):
        under_way = 1 - state.phase_done / max(1, state.phase_total) * (state.phase == "validating")
    every = state.validates_every(config) if config else 0
    return step * (total - made) + validation * (_validations(made, total, every, state) + under_way)


def _gaps(history: RunHistory, state: RunState | None) -> Floats:
    """Return the seconds from each step that counts to the next.

    The validation of the base model is made before the first step or after it; its time is in none.
    """
    counted = _counted(history, state)
    gaps = np.diff(history.elapsed_s[counted])
    if len(gaps) and counted.start == 0 and history.step[0] == 1:
        both = gaps[0], history.elapsed_s[0]
        # One of them has it; where the first step was validated itself, so has that.
        gaps[0] = np.mean(both) if np.isfinite(history.val_loss[0]) else min(both)
    return gaps


def _counted(history: RunHistory, state: RunState | None) -> slice:
    first = int(np.searchsorted(history.step, state.resumed_at, side="right")) if state else 0
    if len(history) - first < 2:
        first = 0
    return slice(max(first, len(history) - _WINDOW - 1), None)


def _validations(made: int, total: int, every: int, state: RunState) -> int:
    """Count the steps after `made` that are validated: every so many, at epochs' ends, at the last."""

    def up_to(step: int) -> int:
        epoch = state.steps_per_epoch
        count = sum(step // period for period in (every, epoch) if period)
        return count - (step // math.lcm(every, epoch) if every and epoch else 0)

    is_last_besides = total > made and up_to(total) == up_to(total - 1)
    return up_to(total) - up_to(made) + is_last_besides
