"""Moments of a run, as questions about its events."""

from collections.abc import Callable

from engine.training.events import CheckpointSaved, Evaluated, Event, Phase, Started, StepDone

Moment = Callable[[Event], bool]


def step_done(step: int) -> Moment:
    """After the optimizer step `step`."""
    return lambda event: isinstance(event, StepDone) and event.metrics.step == step


def saved(step: int) -> Moment:
    """After the checkpoint of `step`."""
    return lambda event: isinstance(event, CheckpointSaved) and event.step == step


def evaluated(step: int) -> Moment:
    """After the validation that follows `step`."""
    return lambda event: isinstance(event, Evaluated) and event.step == step


def inside_validation(number: int) -> Moment:
    """After the first batch of the `number`th validation of this session; true once."""
    seen = [0]

    def check(event: Event) -> bool:
        is_inside = isinstance(event, Phase) and event.name == "validating" and event.done == 1
        seen[0] += is_inside
        return is_inside and seen[0] == number

    return check


# Each makes a fresh question: that of a validation counts.
PLACES: dict[str, Callable[[], Moment]] = {
    "before the first validation": lambda: lambda event: isinstance(event, Started),
    "in the first validation": lambda: inside_validation(1),
    "after the first validation": lambda: evaluated(0),
    "after the first checkpoint": lambda: saved(0),
    "between two steps": lambda: step_done(2),
    "before a validation": lambda: step_done(3),
    "in a validation": lambda: inside_validation(2),
    "after a validation": lambda: evaluated(4),
    "in the validation at the end of an epoch": lambda: inside_validation(3),
    "after the checkpoint of an epoch": lambda: saved(6),
    "in the last validation": lambda: inside_validation(5),
}
