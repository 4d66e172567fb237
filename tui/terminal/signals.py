"""Signals: a run is paused and saved, whatever the terminal does, and the process ends for certain.

A handler interrupts the main thread anywhere, also inside a lock that the
reaction needs, the same signal may come twice at once, and while the main thread
computes in native code no handler of Python's runs at all. So handlers do
nothing: the interpreter writes each number into a pipe, from which a thread of its own reads.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from engine.i18n import _
from engine.training.pause_request import PauseRequest

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end the app."""
PAUSING = (signal.SIGINT, *ENDING)
"""Signals that pause a run."""
LEAVE_LIMIT_S = 0.6
"""Time that work with nothing to save has to come to an end, in seconds."""
TIDY_LIMIT_S = 5.0
"""Time that tidying up has before one more signal ends the process, in seconds."""
_LAST = 0
"""Ends the thread that reacts to signals."""
FIRST_MARK = 200
"""Numbers from here to 255 are no signals: whoever puts one hears of it in turn with those."""
_WAKING = signal.SIGUSR1
"""Ends the thread that fetches them."""


class SignalThread:
    """Calls a function for each signal, one after the other, on a thread of its own."""

    def __init__(self, react: Callable[[int], None], keep: bool = False) -> None:
        """Start the thread.

        Args:
            react: gets the number of each signal. A program that it starts can be signalled, without `keep`.
            keep: hear those too that come while C's `system()` ignores SIGINT, as when MLX calls a
                compiler. Threads and programs that are started meanwhile do not get them.
        """
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._react = react
        self._keep = keep
        self._thread = threading.Thread(target=self._run, daemon=True, name="signals")
        self._thread.start()

    def install(self, numbers: Iterable[signal.Signals]) -> Callable[[], None]:
        """Take over `numbers`; only the main thread may call this and what it returns, which gives them back.

        SIGHUP stays ignored where it was, as `nohup` asks for.
        """
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        taken = [number for number in numbers if not (ignored and number == signal.SIGHUP)]
        pipe_before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        before = {number: signal.signal(number, _do_nothing) for number in taken}
        let_through = self._hold_back({*taken, _WAKING}) if self._keep else _do_nothing

        def give_back() -> None:
            let_through()
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(pipe_before)
            self.put(_LAST)
            self._thread.join(LEAVE_LIMIT_S)  # what came before counts

        return give_back

    def _hold_back(self, numbers: set[signal.Signals]) -> Callable[[], None]:
        """Block signals, which are then not ignored either, and let a thread fetch them until the end."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

        def fetch() -> None:
            while (number := signal.sigwait(numbers)) != _WAKING:
                self.put(number)

        fetching = threading.Thread(target=fetch, daemon=True, name="held signals")
        fetching.start()

        def let_through() -> None:
            signal.pthread_kill(fetching.ident or 0, _WAKING)
            fetching.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        return let_through

    def put(self, number: int) -> None:
        """React as if the signal had come. Safe everywhere."""
        with suppress(BlockingIOError):  # thousands of signals wait already
            os.write(self._writing, bytes([number]))

    def _run(self) -> None:
        if self._keep:
            signal.pthread_sigmask(signal.SIG_BLOCK, PAUSING)  # they are for the thread that fetches them
        while number := os.read(self._reading, 1)[0]:
            if number in PAUSING or number >= FIRST_MARK:  # the pipe gets those too that Textual handles
                self._react(number)
        os.close(self._reading)
        os.close(self._writing)


def _do_nothing(_number: int = 0, _frame: FrameType | None = None) -> None:
    """Take the place of a signal's usual effect."""


def clean_up_on_signals(numbers: Iterable[signal.Signals] = ENDING) -> None:
    """Let SIGTERM and SIGHUP end every command as Ctrl+C does, so that what is half-made goes with it.

    Signals stay ignored where they were, as `nohup` asks for. Only the main thread may call this.

    Args:
        numbers: with SIGINT among them, a second Ctrl+C does not end the tidying up of the first.
    """
    for number in numbers:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _unwind)


def _unwind(number: int, _frame: FrameType | None) -> None:
    began = time.monotonic()

    def see_through(later: int, _frame: FrameType | None) -> None:
        """Leave nothing halfway that is tidied up now, unless that does not come to an end."""
        if time.monotonic() - began > TIDY_LIMIT_S:
            os._exit(128 + later)

    for other in PAUSING:
        if signal.getsignal(other) is not signal.SIG_IGN:
            signal.signal(other, see_through)
    raise SystemExit(128 + number)


@contextmanager
def pausing_signals(
    on_signal: Callable[[list[int]], None] = lambda received: None, keep: bool = False
) -> Iterator[tuple[PauseRequest, list[int]]]:
    """Let Ctrl+C, SIGTERM and SIGHUP set an event instead of ending the process.

    Args:
        on_signal: called with the signals received after each one, on another thread.
        keep: see `SignalThread`.

    Yields:
        The event, and a list that gets the signals received.
    """
    stop, received = PauseRequest(), list[int]()

    def react(number: int) -> None:
        received.append(number)
        stop.set_because(_reason(number))
        on_signal(received)

    give_back = SignalThread(react, keep).install(PAUSING)
    try:
        yield stop, received
    finally:
        give_back()


def _reason(number: int) -> str:
    """Return why a process was sent a signal, where that need not be the user's wish to pause."""
    if number == signal.SIGHUP:  # also from the supervisor's child, when the supervisor has been killed
        return _("paused, as its terminal was closed or the process that started it was ended")
    if number == signal.SIGTERM:
        return _("paused, as its process was told to end (SIGTERM)")
    return ""


@contextmanager
def leaving_signals(
    can_go_on: bool = False, end: Callable[[int], None] = os._exit
) -> Iterator[tuple[threading.Event, list[int]]]:
    """As `pausing_signals`, around work that has nothing to save and may be in native code for long.

    However long the work and the interpreter's end take: `LEAVE_LIMIT_S` after a signal the process ends.

    Args:
        can_go_on: a first Ctrl+C only ends the work, and may take its time for it.
        end: ends the process.
    """

    def see_to_it(code: int) -> None:
        threading.Event().wait(LEAVE_LIMIT_S)
        end(code)

    def on_signal(received: list[int]) -> None:
        if not (can_go_on and received == [signal.SIGINT]):
            threading.Thread(target=see_to_it, args=(128 + received[-1],), daemon=True).start()

    with pausing_signals(on_signal, keep=True) as signals:
        yield signals


def ignore_signals() -> None:
    """Let nothing disturb a process whose work is done and whose exit code is known."""
    for number in PAUSING:
        signal.signal(number, signal.SIG_IGN)
