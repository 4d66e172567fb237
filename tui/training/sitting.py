"""What only the events of a sitting tell, not its files: stage, padding, time in validation."""

import time

from engine.training.events import Evaluated, Event, Phase, Started, StepDone


class Sitting:
    """Adds up the events from one start of the trainer to its pause or end."""

    def __init__(self) -> None:
        self.phase: Phase | None = None
        """The stage being worked on; None while steps are made."""
        self.started: Started | None = None
        self.last_event_at = time.monotonic()
        self._began = 0.0
        self._step = 0
        self._steps = 0
        self._padding = 0.0
        self._evaluation_s = 0.0

    @property
    def padding(self) -> float | None:
        """Mean share of padding in the steps of this sitting, 0 to 1."""
        return self._padding / self._steps if self._steps else None

    @property
    def evaluation(self) -> float | None:
        """Share of this sitting's time that went into validation, 0 to 1."""
        spent = self.last_event_at - self._began
        return min(1.0, self._evaluation_s / spent) if self._steps and spent > 0 else None

    def take(self, event: Event) -> None:
        """Count one event."""
        self.last_event_at = time.monotonic()
        self.phase = event if isinstance(event, Phase) and event.name != "training" else None
        if isinstance(event, Started):
            self.started, self._began = event, self.last_event_at
        elif isinstance(event, Evaluated):
            self._evaluation_s += event.seconds
        elif isinstance(event, StepDone) and event.metrics.step != self._step:
            # A step that is validated is told twice; only the first telling has its padding.
            self._step = event.metrics.step
            self._steps += 1
            self._padding += event.padding
