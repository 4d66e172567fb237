"""A terminal of its own for a program, with keys that are pressed from outside."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

from engine.selftest.process import kill_family, wait_family

_TAKE_TERMINAL = """
import fcntl, os, signal, sys, termios
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes its standard input the controlling terminal, from which Ctrl+C comes, and becomes the program.

Signals are as a login shell leaves them, whatever this process was started with."""
_LOOK_S = 0.05
_READ = 65536
_ROWS, _COLUMNS = 24, 80


class PseudoTerminal:
    """Runs a program on a pty and reads all that it writes, as a terminal does."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> None:
        """Start `command`, an absolute path and its arguments.

        Args:
            command: what to start.
            environment: its variables; those that would overrule the terminal are left out.
            limit_s: seconds from now after which every wait raises TimeoutError.
        """
        self.output = b""
        """The last of what was written."""
        self._limit = time.monotonic() + limit_s
        self._master, slave = pty.openpty()
        try:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
            kept = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
            self._process = subprocess.Popen(
                [sys.executable, "-c", _TAKE_TERMINAL, *command],
                env={**kept, "TERM": "xterm-256color"},
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
            )
        except BaseException:  # also Ctrl+C at this very moment: nobody else would close it
            os.close(self._master)
            raise
        finally:
            os.close(slave)

    def __enter__(self) -> "PseudoTerminal":
        return self

    def __exit__(self, *_error: object) -> None:
        family = kill_family(self._process)
        os.close(self._master)  # on macOS a process does not end while its terminal has output to give
        wait_family(self._process, family)

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._master, keys.encode())

    def wait_until(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds; False if the program ended before.

        Raises:
            TimeoutError: the time is over.
        """
        while not holds():
            if self._process.poll() is not None:
                self._read_rest()
                return holds()
            self._read()
        return True

    def end(self) -> int:
        """Wait for the program's end and return its exit code, negative for a signal; all output is read.

        Raises:
            TimeoutError: the time is over.
        """
        while self._process.poll() is None:
            self._read()
        self._read_rest()
        return int(self._process.returncode)

    def _read_rest(self) -> None:
        """Take what an ended program wrote last: until its side is closed, or a child of its is silent."""
        while self._take(_LOOK_S):
            pass

    def _read(self) -> None:
        """Take what is written within a moment."""
        if time.monotonic() >= self._limit:
            raise TimeoutError
        if self._take(_LOOK_S) is None:
            time.sleep(_LOOK_S)

    def _take(self, wait_s: float) -> bytes | None:
        """Take what comes in so long: empty if nothing does, None where nobody writes any more."""
        if not select.select([self._master], [], [], wait_s)[0]:
            return b""
        try:
            data = os.read(self._master, _READ) or None
        except OSError:  # Linux: nobody has the other side open
            data = None
        self.output = (self.output + (data or b""))[-_READ:]
        return data
