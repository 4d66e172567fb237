"""When a run's process may be ended at once: until it begins to write, and in the first step of a session."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.training.events import Paused


class Beginning:
    """Passed once: by the run, or by whoever gives it up on another thread while there is nothing to lose.

    What is read, loaded or compiled may be in native code for minutes, where nothing can be asked to stop.
    """

    def __init__(self) -> None:
        """Nothing has begun."""
        self._turn = threading.Lock()
        self._undo: list[Callable[[], None]] = []
        self._pause: Callable[[], Paused] | None = None

    def begin(self) -> None:
        """Begin to write; never returns where the run was given up, as this process ends then."""
        self._turn.acquire()

    @contextmanager
    def all_is_saved(self, pause: Callable[[], Paused]) -> Iterator[None]:
        """Let a run that has begun be given up during a block, too; where it was, the block never ends.

        Args:
            pause: writes, on another thread, that the run is paused at its checkpoint; returns what tells so.
        """
        self._pause = pause
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()

    def give_up(self) -> bool:
        """Let the run go no further; False if that loses something. The caller ends it by `os._exit`."""
        return self._turn.acquire(blocking=False)

    def pause(self) -> Paused | None:
        """Leave a run that was given up as a paused one; None if it had not begun."""
        return self._pause() if self._pause else None

    def if_given_up(self, undo: Callable[[], None]) -> None:
        """Let `leave_nothing` call `undo`; it may wait for nothing that this thread does."""
        self._undo.append(undo)

    def leave_nothing(self) -> None:
        """Undo what was done until then, the last first; for whoever has given the run up."""
        for undo in reversed(self._undo):
            undo()
