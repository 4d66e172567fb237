"""How fast a run goes, everything counted."""

from engine.training.history import Floats

_WINDOW = 50
"""Steps over which the time of one step is averaged."""


def seconds_per_step(elapsed_s: Floats) -> float | None:
    """Return the mean time of the last 50 steps, validations and checkpoints included.

    Args:
        elapsed_s: seconds of training up to each step.
    """
    window = elapsed_s[-_WINDOW - 1 :]
    if len(window) < 2:
        return None
    return float(window[-1] - window[0]) / (len(window) - 1)
