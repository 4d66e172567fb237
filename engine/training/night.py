"""A look at the display once it is known how long the steps are."""

from collections.abc import Iterator
from statistics import median

from engine.hardware.power import display_warning
from engine.training.events import Event, Notice, StepDone

_STEPS = 5
"""Steps that are timed; the first ones compile."""


def warn_of_the_display(events: Iterator[Event]) -> Iterator[Event]:
    """Pass on `events`; add a warning after a few steps if macOS may end such long ones."""
    seconds: list[float] = []
    for event in events:
        yield event
        if isinstance(event, StepDone) and len(seconds) < _STEPS:
            seconds.append(event.metrics.tokens / max(event.metrics.tokens_per_second, 1e-9))
            if len(seconds) == _STEPS and (text := display_warning(median(seconds))):
                yield Notice("warning", text)
