"""A real terminal for the real program: a pty with a screen that is read as a person would."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyte

LIMIT_S = 120.0
_PIECE = 256
"""Bytes that a terminal has room for where it has room at all."""
_LOOK_S = 0.02


class Terminal:
    """Runs `mqlora-tui` with a controlling terminal of its own.

    A thread reads what the program writes from its first byte to its last, as a terminal
    does: a program whose output waits to be read stands still.
    """

    def __init__(
        self,
        *arguments: str,
        command: Sequence[str] = (sys.executable, "-m", "tui"),
        columns: int = 80,
        rows: int = 24,
        ignore_hang_ups: bool = False,
    ) -> None:
        started, start = os.pipe()
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.close(start)
            os.read(started, 1)  # the program begins when its terminal's settings are known
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            # As a login shell starts it, whatever the tests themselves were started with.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN if ignore_hang_ups else signal.SIG_DFL)
            environment = {**os.environ, "TERM": "xterm-256color", "OPENBLAS_NUM_THREADS": "1"}
            for name in ("COLUMNS", "LINES"):  # would overrule the terminal's own size
                environment.pop(name, None)
            os.execve(command[0], [*command, *arguments], environment)
        self.first_attributes = self.attributes()
        """The terminal's settings before the program changed them."""
        for end in (started, start):
            os.close(end)
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._output = b""
        self._changed = threading.Condition()
        """Held while screen and output change; told of every change."""
        self.read_on()

    @property
    def text(self) -> str:
        """What the screen shows."""
        # pyte's own `display` fails where half of a wide letter was overwritten.
        with self._changed:
            rows, columns = range(self._screen.lines), range(self._screen.columns)
            return "\n".join("".join(self._screen.buffer[y][x].data for x in columns) for y in rows)

    @property
    def output(self) -> bytes:
        """All that was written so far."""
        with self._changed:
            return self._output

    @property
    def written(self) -> int:
        """How many bytes that is."""
        return len(self._output)

    @property
    def is_full_screen(self) -> bool:
        """Whether the screen is the one that full-screen programs draw on."""
        with self._changed:
            return self._output.rfind(b"\x1b[?1049h") > self._output.rfind(b"\x1b[?1049l")

    def take(self, data: bytes) -> None:
        """Show what the program wrote; called by the thread that reads, nothing at the end."""
        self._output += data
        self._stream.feed(data)

    def attributes(self) -> list[Any]:
        """Return the terminal's settings, as `termios.tcgetattr` does."""
        return termios.tcgetattr(self._master)

    def resume_output(self) -> None:
        """Undo a Ctrl+S that the terminal took for itself, as it does when no program has it."""
        if self.attributes()[3] & termios.ICANON:
            self.write(b"\x11")

    def wait_for(self, text: str) -> None:
        """Wait until `text` is on the screen; fail with the screen if it never comes."""
        self.wait_until(lambda: text in self.text, repr(text))

    def wait_until(self, holds: Callable[[], object], what: str = "it") -> None:
        """Wait until something holds, looked at after each output and often besides; fail with the screen."""
        limit = time.monotonic() + LIMIT_S
        with self._changed:
            while not holds():
                assert time.monotonic() < limit, f"{what} never came:\n{self.text}"
                self._changed.wait(_LOOK_S)

    def press(self, keys: str) -> None:
        """Type keys."""
        self.write(keys.encode())

    def write(self, data: bytes) -> None:
        """Send bytes, whatever they are; what a program that has ended does not read is lost."""
        sent = 0
        while sent < len(data):
            if select.select([], [self._master], [], _LOOK_S)[1]:
                sent += os.write(self._master, data[sent : sent + _PIECE])
            elif self.has_ended:
                return

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, and tell the program as the system does."""
        with self._changed:
            self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def has_ended(self) -> bool:
        """Whether the program is no more; `wait` tells how it ended."""
        return bool(psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Lose the connection."""
        self._end_reading()
        os.close(self._master)
        self._master = -1

    @property
    def is_open(self) -> bool:
        """Whether the line has not been hung up."""
        return self._master >= 0

    def stall(self, keys: str = "") -> None:
        """Read no more, until the program cannot write on.

        Ctrl+S does that at once; a program that takes it for a key is kept writing with `keys`.
        """
        self._end_reading()
        if self.attributes()[0] & termios.IXON:
            self.press("\x13")
            return
        limit, unread = time.monotonic() + LIMIT_S, -1
        while time.monotonic() < limit:
            before, unread = unread, self._unread()
            if unread == before > 0:
                return
            for key in keys:
                self.press(key)
                time.sleep(0.15)
            time.sleep(0.3)
        raise AssertionError(f"the terminal still takes more than {unread} bytes")

    def read_on(self) -> None:
        """End a stall."""
        self._is_read = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Wait for the end and return the exit code, negative for a signal."""
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                if self.is_open and self._reader.is_alive():  # the last of its output
                    self._reader.join(limit_s)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"the program did not end:\n{self.text}")

    def kill(self) -> None:
        """End the program and its children at once."""
        program = psutil.Process(self.pid)
        for process in (*program.children(recursive=True), program):
            process.kill()
        os.waitpid(self.pid, 0)

    def close(self) -> None:
        """Give the terminal back to the system."""
        if self.is_open:
            self.hang_up()

    def _unread(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self._master, termios.FIONREAD, b"\0\0\0\0"))[0])

    def _end_reading(self) -> None:
        self._is_read = False
        self._reader.join()

    def _read(self) -> None:
        """Take what comes, until that is to end or the program closes its side."""
        while self._is_read:
            if not select.select([self._master], [], [], _LOOK_S)[0]:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            with self._changed:
                self.take(data)
                self._changed.notify_all()
            if not data:
                return


def process_is_gone(pid: int) -> bool:
    """Whether a process (not a child of ours) has ended, waiting for it a while."""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        if not Path(f"/proc/{pid}").exists():
            return True
        select.select([], [], [], 0.05)
    return False
