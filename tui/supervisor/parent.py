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
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tui.respawn import SUPERVISED, peek
from tui.supervisor.child import ALIVE, BEATS, NATIVE_LOG
from tui.supervisor.death import Death
from tui.supervisor.stall import LEAST_VARIABLE, StallDetector, least_silence
from tui.terminal.settings import TerminalSettings
from tui.terminal.signals import PAUSING, SignalThread

_LOG_TAIL = 20_000
"""Bytes of the child's last native messages that are looked at."""
if TYPE_CHECKING:
    from tui.supervisor.restart import RestartPolicy

Decide = Callable[[Death], list[str] | None]
"""Told of a death, returns the arguments to start again with, or None to leave."""


def supervise(arguments: Sequence[str], directory: Path) -> int:
    """Run `mqlora-tui` with `arguments` in a child and return its exit code.

    A child killed by a signal is explained and, if wanted, started again;
    otherwise the exit code is 128 + that signal.
    """
    least = least_silence()
    if least is None:
        print(f"{LEAST_VARIABLE} is not a number of seconds; unset it or write {LEAST_VARIABLE}=300.",
              file=sys.stderr)  # fmt: skip
        return 1
    terminal, is_app = TerminalSettings.save(), peek(arguments)[1] is None

    @cache
    def restart_policy() -> "RestartPolicy":
        from tui.supervisor.restart import RestartPolicy  # only now: it imports much

        return RestartPolicy(directory, arguments)

    def decide(death: Death) -> list[str] | None:
        terminal.restore(is_app)
        return restart_policy().decide(death)

    command = [sys.executable, "-P", "-m", "tui"]
    code = keep_running(command, list(arguments), directory, decide, least)
    if terminal.are_changed:  # the child had to leave without putting it right
        terminal.restore(is_app)
    return code


def keep_running(
    command: Sequence[str], arguments: list[str], directory: Path, decide: Decide, least_silence_s: float
) -> int:
    """Start `command` with `arguments`, and again with what `decide` says after each death.

    From here to the end of this process its signals mean the child.
    """
    forwarder = _Forwarder()
    forwarder.install()
    while True:
        end = _run([*command, *arguments], directory, forwarder, least_silence_s)
        if isinstance(end, int):
            return end
        forwarder.forwarded = 0
        again = decide(end)
        if again is None or forwarder.forwarded:
            return 128 + (forwarder.forwarded or end.signal)
        arguments = again


def _run(
    command: Sequence[str], directory: Path, forwarder: "_Forwarder", least_silence_s: float
) -> int | Death:
    """Run one child to its end."""
    with _native_log() as log, _pipe() as (alive, _kept), _pipe() as (beats, beating):
        os.set_blocking(beats, False)
        os.set_blocking(beating, False)
        ours = {SUPERVISED: "1", NATIVE_LOG: str(log.fileno()), ALIVE: str(alive), BEATS: str(beating)}
        child = subprocess.Popen(command, pass_fds=(log.fileno(), alive, beating), env={**os.environ, **ours})
        forwarder.begin(child)
        state_file = directory / "checkpoints_qlora" / "training_state.json"
        watchdog = StallDetector(state_file, child.pid, least_silence_s, beats)
        watchdog.start()
        code = child.wait()
        forwarder.child = None
        watchdog.stop()
        watchdog.join()  # before its pipe is closed
        if code >= 0:
            return code
        return Death(child.pid, -code, watchdog.stalled_s, _tail(log), forwarder.forwarded)


def _native_log() -> IO[bytes]:
    """Return a file without a name; where the disk has no room for one, one that keeps nothing."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe whose writing end lives as long as this process."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


class _Forwarder:
    """Sends the signals that mean the program on to its child, each once, and remembers the last of them.

    On a thread of its own: a signal that comes just before the main thread begins to wait for the child
    would run no handler of Python's until the child ends.
    """

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.forwarded = 0
        self._in_turn = threading.Lock()

    def install(self) -> None:
        """Take over the signals; ignored ones stay ignored.

        Ctrl+C and a hang-up reach the child from the terminal too: it takes the second for the first.
        """
        SignalThread(self._forward).install(
            number for number in PAUSING if signal.getsignal(number) is not signal.SIG_IGN
        )

    def begin(self, child: "subprocess.Popen[bytes]") -> None:
        """Send signals to `child` from now on, also one that came while it was started."""
        with self._in_turn:
            self.child = child
            if self.forwarded:
                child.send_signal(self.forwarded)

    def _forward(self, number: int) -> None:
        with self._in_turn:
            self.forwarded = number
            if self.child:
                self.child.send_signal(number)


def _tail(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_TAIL))
    return log.read().decode("utf-8", errors="replace")
