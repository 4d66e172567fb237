"""The validations of a run, and which of them gave no finite loss."""

from dataclasses import dataclass

from engine.config import TrainingConfig
from engine.training.history import Floats, Ints, RunHistory
from engine.training.state import RunState

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Validations:
    """The validations after a step, in their order."""

    steps: Ints
    """Those with a finite loss."""
    losses: Floats
    """Nats per trained token."""
    failed: Ints
    """Steps whose validation was made and not finite."""

    @property
    def last_step(self) -> int | None:
        """Step of the last one with a finite loss."""
        return int(self.steps[-1]) if len(self.steps) else None

    @property
    def failed_at_end(self) -> int:
        """How many failed after the last one that did not."""
        last = self.last_step
        return int((self.failed > (-1 if last is None else last)).sum())


def validations_of(history: RunHistory, config: TrainingConfig | None, state: RunState | None) -> Validations:
    """Find the validations of a run.

    The metrics have null where a validation was not finite as where none was made. But a run
    that validated before its first step validates wherever one is due: null there is the former,
    unless it was cut short there.

    Args:
        history: its steps.
        config: the run's own; without it nobody knows what was due.
        state: tells the length of an epoch and of the run.
    """
    steps, losses = history.points("val_loss")
    failed = np.isinf(history.val_loss)
    if config and state and state.initial_val_loss is not None and state.steps_per_epoch:
        due = _due(history.step, state.validates_every(config), state)
        if np.isin(steps, history.step[due]).all():  # else the plan is not this run's
            failed |= due & np.isnan(history.val_loss) & (history.step != state.unvalidated)
    return Validations(steps, losses, history.step[failed])


def _due(steps: Ints, every: int, state: RunState) -> NDArray[np.bool_]:
    """Tell which steps end an epoch or the run, or are the next of every so many."""
    due: NDArray[np.bool_] = (steps % state.steps_per_epoch == 0) | (steps == state.total_steps)
    if every:
        due |= steps % every == 0
    return due
