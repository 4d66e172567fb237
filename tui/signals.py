"""Signals: a run is paused and saved, whatever the terminal does, and the process ends for certain.

A handler interrupts the main thread anywhere, also inside a lock that the
reaction needs, and the same signal may come twice at once. So a handler only
puts the number into a queue, and a thread of its own reacts.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Protocol

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end the app."""
PAUSING = (signal.SIGINT, *ENDING)
"""Signals that pause a run."""
SAVE_LIMIT_S = 900.0
"""Longest wait for the step under way and its checkpoint, in seconds."""
CLOSE_LIMIT_S = 2.0
"""Time the app has to put the terminal right, in seconds."""


class SignalThread:
    """Calls a function for each signal, one after the other, on a thread of its own."""

    def __init__(self, react: Callable[[int], None]) -> None:
        """Start the thread; `react` gets the number of each signal."""
        self._arrived: SimpleQueue[int] = SimpleQueue()
        self._react = react
        threading.Thread(target=self._run, daemon=True, name="signals").start()

    def install(self, numbers: Iterable[signal.Signals]) -> dict[signal.Signals, object]:
        """Take over `numbers` and return the handlers before; only the main thread may call this.

        SIGHUP stays ignored where it was, as `nohup` asks for.
        """
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        taken = [number for number in numbers if not (ignored and number == signal.SIGHUP)]
        return {number: signal.signal(number, self._handle) for number in taken}

    def put(self, number: int) -> None:
        """React as if the signal had come; 0 ends the thread. Safe everywhere."""
        self._arrived.put(number)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._arrived.put(number)

    def _run(self) -> None:
        while number := self._arrived.get():
            self._react(number)


@contextmanager
def pausing_signals(
    told: Callable[[], None] = lambda: None,
) -> Iterator[tuple[threading.Event, list[int]]]:
    """Let Ctrl+C, SIGTERM and SIGHUP set an event instead of ending the process.

    Args:
        told: called after each signal, on another thread.

    Yields:
        The event, and a list that gets the signals received.
    """
    stop, received = threading.Event(), list[int]()

    def react(number: int) -> None:
        received.append(number)
        stop.set()
        told()

    thread = SignalThread(react)
    before = thread.install(PAUSING)
    try:
        yield stop, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        thread.put(0)


def ignore_signals() -> None:
    """Let nothing disturb a process whose work is done and whose exit code is known."""
    for number in PAUSING:
        signal.signal(number, signal.SIG_IGN)


class Engine(Protocol):
    """What is needed of the engine's thread."""

    stop_event: threading.Event
    """Asks the running trainer to pause."""
    idle: threading.Event
    """Set while no job runs."""


class SignalExit:
    """Pauses, saves and leaves the app when its process is told to end; SIGINT only pauses."""

    def __init__(
        self,
        engine: Engine,
        leave: Callable[[], None],
        when_saved: Callable[[int], None],
        end: Callable[[int], None] = os._exit,
    ) -> None:
        """Prepare the reaction to signals; everything is called on a thread of its own.

        Args:
            engine: the thread whose job is paused.
            leave: asks the app to exit and returns at once; called before the pause is asked for.
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
        self._thread = SignalThread(self._react)

    def install(self) -> None:
        """Take over the signals; only the main thread may call this."""
        self._thread.install(PAUSING)

    def handle(self, number: int) -> None:
        """React as if the signal had come; of those that end, only the first counts."""
        self._thread.put(number)

    def _react(self, number: int) -> None:
        if number == signal.SIGINT:
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
            if self._engine.idle.wait(SAVE_LIMIT_S):
                self._when_saved(number)
        finally:
            self.settled.set()
        threading.Event().wait(CLOSE_LIMIT_S)
        self._end(128 + number)
