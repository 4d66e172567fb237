"""How the app ends when its process is told to: what runs is paused and saved first."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Protocol

from tui.terminal.signals import FIRST_MARK, PAUSING, SignalThread

SAVE_LIMIT_S = 900.0
"""Longest wait for the step under way and its checkpoint, in seconds."""
CLOSE_LIMIT_S = 2.0
"""Time the app has to put the terminal right, in seconds."""
_COPY_LIMIT_S = 5.0
"""Time in which the copy of a Ctrl+C may come that the supervisor sends on, in seconds."""
_LENT, _GIVEN_BACK = FIRST_MARK, FIRST_MARK + 1


class Stoppable(Protocol):
    """What is needed of the engine's thread."""

    stop_event: threading.Event
    """Asks the running trainer to pause."""
    idle: threading.Event
    """Set while no job runs."""
    leavable: threading.Event
    """Set while no job runs that has something to save."""


class SignalExit:
    """Pauses, saves and leaves the app when its process is told to end; SIGINT only pauses."""

    def __init__(
        self,
        engine: Stoppable,
        leave: Callable[[], None],
        when_saved: Callable[[int], None],
        end: Callable[[int], None] = os._exit,
    ) -> None:
        """Prepare the reaction to signals; everything is called on a thread of its own.

        Args:
            engine: the thread whose job is paused.
            leave: asks the app to exit and returns at once; called before the pause is asked for.
            when_saved: told the signal's number once nothing is left to save.
            end: ends the process, should the app be unable to.
        """
        self.received: int | None = None
        """The first signal to end that came, if any."""
        self.settled = threading.Event()
        """Set when everything is saved, or the limit for it is over."""
        self._is_lent = False
        self._typed_at = float("-inf")
        """When a Ctrl+C came last while another program had the terminal."""
        self._engine = engine
        self._leave = leave
        self._when_saved = when_saved
        self._end = end
        self._thread = SignalThread(self._react)

    def install(self) -> None:
        """Take over the signals; only the main thread may call this."""
        self._thread.install(PAUSING)  # for good

    def handle(self, number: int) -> None:
        """React as if the signal had come; of those that end, only the first counts."""
        self._thread.put(number)

    def lend_terminal(self, is_lent: bool) -> None:
        """Take note that another program has the terminal, or no more: a Ctrl+C there is meant for that one.

        In turn with the signals: one that came before the terminal was given back may be heard of only now.
        """
        self._thread.put(_LENT if is_lent else _GIVEN_BACK)

    def _react(self, number: int) -> None:
        if number in (_LENT, _GIVEN_BACK):
            self._is_lent = number == _LENT
        elif number == signal.SIGINT:
            now = time.monotonic()
            if self._is_lent:
                self._typed_at = now
            elif now - self._typed_at >= _COPY_LIMIT_S:  # with the terminal ours, Ctrl+C is no signal
                self._interrupt()
        elif self.received is None:
            self.received = number
            self._see_it_through(number)

    def _interrupt(self) -> None:
        """Pause a running job (a viewer in another terminal asks for it this way); else leave."""
        if self._engine.idle.is_set():
            self._leave()
        else:
            self._engine.stop_event.set()

    def _see_it_through(self, number: int) -> None:
        self._leave()
        self._engine.stop_event.set()
        try:
            if self._engine.leavable.wait(SAVE_LIMIT_S):
                self._when_saved(number)
        finally:
            self.settled.set()
        threading.Event().wait(CLOSE_LIMIT_S)
        self._end(128 + number)
