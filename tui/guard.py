"""The small parent of the app and of training: it survives what kills them, and says so.

Running out of memory inside MLX ends a process without a traceback, and the
system kills without a word. The child's terminal settings die with it, so
this process keeps them, explains the end in a sentence and goes on from the
last checkpoint: at a terminal it asks first, unattended it does so by itself.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from tui.native import ALIVE, NATIVE_LOG
from tui.start import GUARDED
from tui.terminal import TerminalSettings
from tui.watchdog import Watchdog

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOG_TAIL = 20_000
"""Bytes of the child's last native messages that are looked at."""
Decide = Callable[["Death"], list[str] | None]
"""Told of a death, returns the arguments to start again with, or None to leave."""


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


def guard(arguments: Sequence[str], directory: Path) -> int:
    """Run `mqlora-tui` with `arguments` in a child and return its exit code.

    A child killed by a signal is explained and, if wanted, started again;
    otherwise the exit code is 128 + that signal.
    """
    terminal = TerminalSettings.save()

    def decide(death: Death) -> list[str] | None:
        from tui.aftermath import Aftermath  # only now: it imports much more than a guard needs

        terminal.restore()
        return Aftermath(directory, arguments).decide(death)

    command = [sys.executable, "-P", "-m", "tui"]
    return keep_running(command, list(arguments), directory, decide)


def keep_running(command: Sequence[str], arguments: list[str], directory: Path, decide: Decide) -> int:
    """Start `command` with `arguments`, and again with what `decide` says after each death."""
    while True:
        end = _run(command, arguments, directory)
        if isinstance(end, int):
            return end
        again = decide(end)
        if again is None:
            return 128 + end.signal
        arguments = again


def _run(command: Sequence[str], arguments: Sequence[str], directory: Path) -> int | Death:
    """Run one child to its end."""
    with tempfile.TemporaryFile() as log, _pipe() as (alive, _kept), _forwarding() as children:
        child = subprocess.Popen(
            [*command, *arguments],
            pass_fds=(log.fileno(), alive),
            env={**os.environ, GUARDED: "1", NATIVE_LOG: str(log.fileno()), ALIVE: str(alive)},
        )
        children.append(child)
        watchdog = Watchdog(directory / "checkpoints_qlora" / "training_state.json", child.pid)
        watchdog.start()
        code = child.wait()
        watchdog.stop()
        if code >= 0:
            return code
        return Death(child.pid, -code, watchdog.stalled_s, _tail(log))


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose writing end lives as long as this process."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def _forwarding() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Send the signals that mean the program on to the child in the list; ignored ones stay ignored.

    Ctrl+C and a hang-up reach the child from the terminal too: it takes the second for the first.
    """
    children: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    before = {number: signal.getsignal(number) for number in _FORWARDED}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, forward)
    try:
        yield children
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tail(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_TAIL))
    return log.read().decode("utf-8", errors="replace")
