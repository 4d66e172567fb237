"""SIGTERM and SIGHUP: save the run, restore the terminal, and end for certain. SIGINT: pause.

A lost terminal blocks Textual's event loop for good, so nothing here waits for
the app: `signal.signal` (whose handlers run even then) asks the engine to pause,
and a daemon thread ends the process once the engine is idle.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

SAVE_LIMIT_S = 120.0
"""Longest wait for the checkpoint, in seconds."""
CLOSE_LIMIT_S = 2.0
"""Time the app has to put the terminal right, in seconds."""


class Engine(Protocol):
    """What is needed of the engine's thread."""

    stop_event: threading.Event
    """Asks the running trainer to pause."""
    idle: threading.Event
    """Set while no job runs."""


class SignalExit:
    """Pauses, saves and leaves when the process is told to end."""

    def __init__(
        self,
        engine: Engine,
        leave: Callable[[], None],
        when_saved: Callable[[int], None],
        end: Callable[[int], None] = os._exit,
    ) -> None:
        """Prepare the reaction to signals.

        Args:
            engine: the thread whose job is paused.
            leave: asks the app to exit; returns at once, called in the signal handler.
            when_saved: told the signal's number once the engine is idle.
            end: ends the process, should the app be unable to.
        """
        self.received: int | None = None
        """The first signal to end that came, if any."""
        self.settled = threading.Event()
        """Set when everything is saved, or the limit for it is over."""
        self._engine = engine
        self._leave = leave
        self._when_saved = when_saved
        self._end = end

    def install(self) -> None:
        """Take over the signals; only the main thread may call this."""
        signal.signal(signal.SIGTERM, self.handle)
        signal.signal(signal.SIGHUP, self.handle)
        signal.signal(signal.SIGINT, self.handle_interrupt)

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        """React to the first signal; later ones change nothing."""
        if self.received is not None:
            return
        self.received = number
        threading.Thread(target=self._see_it_through, args=(number,), daemon=True, name="signal-exit").start()
        self._engine.stop_event.set()
        self._leave()

    def handle_interrupt(self, _number: int, _frame: FrameType | None = None) -> None:
        """Pause a running job (a viewer in another terminal asks for it this way); else leave."""
        if self._engine.idle.is_set():
            self._leave()
        else:
            self._engine.stop_event.set()

    def _see_it_through(self, number: int) -> None:
        if self._engine.idle.wait(SAVE_LIMIT_S):
            self._when_saved(number)
        self.settled.set()
        threading.Event().wait(CLOSE_LIMIT_S)
        self._end(128 + number)
