"""Events of a run on their way to the screens."""

import math
import time
from collections.abc import Callable

from engine.training.events import Event, Phase, StepDone

BATCH_SECONDS = 0.25
"""Steps that come faster than this reach the screens together."""


class Outbox:
    """Sends events in order; quick successions of steps or of progress go out together."""

    def __init__(self, send: Callable[[tuple[Event, ...]], None]) -> None:
        self._send = send
        self._waiting: list[Event] = []
        self._sent_at = -math.inf
        self._phase = ""

    def add(self, event: Event) -> None:
        """Take one event; send what is waiting if it is urgent or time has come."""
        self._waiting.append(event)
        if self._is_urgent(event) or time.monotonic() - self._sent_at >= BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
        if self._waiting:
            self._send(tuple(self._waiting))
            self._waiting.clear()
            self._sent_at = time.monotonic()

    def _is_urgent(self, event: Event) -> bool:
        """Whether `event` may be the last for a long while."""
        if isinstance(event, Phase):
            changed, self._phase = event.name != self._phase, event.name
            return changed
        return not isinstance(event, StepDone)
