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
from functools import cache
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

from tui.native import ALIVE, NATIVE_LOG
from tui.start import GUARDED
from tui.terminal import TerminalSettings, is_changed
from tui.watchdog import Watchdog

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOG_TAIL = 20_000
"""Bytes of the child's last native messages that are looked at."""
if TYPE_CHECKING:
    from tui.aftermath import Aftermath

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
    told: int = 0
    """Signal that had asked the program to end before; 0 if none had."""


def guard(arguments: Sequence[str], directory: Path) -> int:
    """Run `mqlora-tui` with `arguments` in a child and return its exit code.

    A child killed by a signal is explained and, if wanted, started again;
    otherwise the exit code is 128 + that signal.
    """
    terminal = TerminalSettings.save()

    @cache
    def aftermath() -> "Aftermath":
        from tui.aftermath import Aftermath  # only now: it imports much more than a guard needs

        return Aftermath(directory, arguments)

    def decide(death: Death) -> list[str] | None:
        terminal.restore()
        return aftermath().decide(death)

    command = [sys.executable, "-P", "-m", "tui"]
    code = keep_running(command, list(arguments), directory, decide)
    if is_changed(terminal):  # the child had to leave without putting it right
        terminal.restore()
    return code


def keep_running(command: Sequence[str], arguments: list[str], directory: Path, decide: Decide) -> int:
    """Start `command` with `arguments`, and again with what `decide` says after each death."""
    while True:
        end = _run(command, arguments, directory)
        if isinstance(end, int):
            return end
        again = decide(end)
        if again is None or end.told:
            return 128 + (end.told or end.signal)
        arguments = again


def _run(command: Sequence[str], arguments: Sequence[str], directory: Path) -> int | Death:
    """Run one child to its end."""
    with tempfile.TemporaryFile() as log, _pipe() as (alive, _kept), _forwarding() as forwarding:
        child = subprocess.Popen(
            [*command, *arguments],
            pass_fds=(log.fileno(), alive),
            env={**os.environ, GUARDED: "1", NATIVE_LOG: str(log.fileno()), ALIVE: str(alive)},
        )
        forwarding.child = child
        watchdog = Watchdog(directory / "checkpoints_qlora" / "training_state.json", child.pid)
        watchdog.start()
        code = child.wait()
        watchdog.stop()
        if code >= 0:
            return code
        return Death(child.pid, -code, watchdog.stalled_s, _tail(log), forwarding.told)


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose writing end lives as long as this process."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


@dataclass
class _Forwarding:
    """Who gets the signals that mean the program, and the last of them."""

    child: "subprocess.Popen[bytes] | None" = None
    told: int = 0

    def forward(self, number: int, _frame: FrameType | None) -> None:
        self.told = number
        if self.child:
            self.child.send_signal(number)


@contextmanager
def _forwarding() -> Iterator[_Forwarding]:
    """Send the signals that mean the program on to the child; ignored ones stay ignored.

    Ctrl+C and a hang-up reach the child from the terminal too: it takes the second for the first.
    """
    forwarding = _Forwarding()
    before = {number: signal.getsignal(number) for number in _FORWARDED}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, forwarding.forward)
    try:
        yield forwarding
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tail(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_TAIL))
    return log.read().decode("utf-8", errors="replace")
