"""A real terminal for the real program: a pty with a screen that is read as a person would."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pyte

LIMIT_S = 60.0


class Terminal:
    """Runs `mqlora-tui` with a controlling terminal of its own."""

    def __init__(self, *arguments: str, columns: int = 80, rows: int = 24) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "OPENBLAS_NUM_THREADS": "1"}
            os.execve(sys.executable, [sys.executable, "-m", "tui", *arguments], environment)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""

    @property
    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(self._screen.display)

    def wait_for(self, text: str) -> None:
        """Read until `text` is on the screen; fail with the screen if it never comes."""
        limit = time.monotonic() + LIMIT_S
        while text not in self.text:
            if not self._read(limit) or time.monotonic() > limit:
                raise AssertionError(f"{text!r} never came:\n{self.text}")

    def press(self, keys: str) -> None:
        """Type keys."""
        os.write(self._master, keys.encode())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Lose the connection."""
        os.close(self._master)
        self._master = -1

    def wait(self) -> int:
        """Wait for the end and return the exit code, negative for a signal."""
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            if self._master >= 0:
                self._read(time.monotonic() + 0.1)
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"the program did not end:\n{self.text}")

    def _read(self, limit: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, limit - time.monotonic()))
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:  # the program closed its side
            return False
        self.output += data
        self._stream.feed(data)
        return bool(data)


def process_is_gone(pid: int) -> bool:
    """Whether a process (not a child of ours) has ended, waiting for it a while."""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        if not Path(f"/proc/{pid}").exists():
            return True
        select.select([], [], [], 0.05)
    return False
