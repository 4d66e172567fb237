"""The moment at which a run begins to write; until then nothing is lost if its process is ended."""

import threading
from collections.abc import Callable


class Beginning:
    """Passed once: by the run, or by whoever gives it up on another thread while data and model are read.

    What is read and loaded may be in native code for minutes, where nothing can be asked to stop.
    """

    def __init__(self) -> None:
        """Nothing has begun."""
        self._turn = threading.Lock()
        self._undo: list[Callable[[], None]] = []

    def begin(self) -> None:
        """Begin to write; never returns where the run was given up, as this process ends then."""
        self._turn.acquire()

    def give_up(self) -> bool:
        """Let the run not begin any more; False if it has. The caller ends this process (`os._exit`)."""
        return self._turn.acquire(blocking=False)

    def if_given_up(self, undo: Callable[[], None]) -> None:
        """Let `leave_nothing` call `undo`; it may wait for nothing that this thread does."""
        self._undo.append(undo)

    def leave_nothing(self) -> None:
        """Undo what was done until then, the last first; for whoever has given the run up."""
        for undo in reversed(self._undo):
            undo()
