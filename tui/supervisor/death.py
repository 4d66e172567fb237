"""How a child ended: what the one who watched it tells the one who decides what comes next."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Death:
    """How a child ended that did not end by itself."""

    pid: int
    signal: int
    """Signal that ended it."""
    stalled_s: float | None
    """Seconds without a sign of life after which the watchdog ended it; None if it was not the watchdog."""
    messages: str
    """The last that native code wrote on the error stream."""
    stop_signal: int = 0
    """Signal that had asked the program to end before; 0 if none had."""
