"""How often a job tells how far it is."""

import time

_EVERY_S = 0.25
"""More often nobody reads it, and over SSH every word costs."""


class Pace:
    """Says when to tell: at once of another stage, of the same one not too often."""

    def __init__(self, every_s: float = _EVERY_S) -> None:
        """Prepare nothing.

        Args:
            every_s: seconds between two words on one stage.
        """
        self._every_s = every_s
        self._last, self._stage = float("-inf"), ""

    def is_due(self, stage: str, at_once: bool = False) -> bool:
        """Whether to tell of a stage now; what is due is taken for told.

        Args:
            stage: what is being done.
            at_once: whether this is to be told whenever it comes, as that the stage is over.
        """
        now = time.monotonic()
        if not at_once and stage == self._stage and now - self._last < self._every_s:
            return False
        self._last, self._stage = now, stage
        return True
