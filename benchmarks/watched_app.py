"""The real program, on a pty that is read as a terminal does: what it shows when, bytes, processor time."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyte

COLUMNS, ROWS = 120, 40
LIMIT_S = 120.0
"""After which something that was waited for is given up."""
_LOOK_S = 0.02
_LEAVE_S = 30.0
_REST_SHARE = 0.05
"""Share of a core below which a program rests."""
_ROOT = Path(__file__).resolve().parents[1]
_SYNC_ASKED, _SYNC_KNOWN = b"\x1b[?2026$p", b"\x1b[?2026;2$y"


@dataclass(frozen=True)
class Moment:
    """Where the program is, and what it took to come there."""

    seconds: float
    """Wall-clock time since its start."""
    cpu_seconds: float
    """Processor time of it and its children, ended ones too."""
    sent: int
    """Bytes to the terminal."""


class WatchedApp:
    """The app on its terminal; what it sends is drawn at once."""

    def __init__(self, process: "subprocess.Popen[bytes]", master: int) -> None:
        self._popen, self._master = process, master
        self._began = time.perf_counter()
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._sent = 0
        self._read_at = self._began

    @property
    def text(self) -> str:
        """What the terminal shows."""
        cells = self._screen.buffer
        return "\n".join("".join(cells[y][x].data for x in range(COLUMNS)) for y in range(ROWS))

    @property
    def processes(self) -> list[psutil.Process]:
        """The program and its children."""
        program = psutil.Process(self._popen.pid)
        return [program, *program.children(recursive=True)]

    def now(self) -> Moment:
        """Return the present moment."""
        return self._moment(time.perf_counter())

    def wait_for(self, *texts: str) -> Moment:
        """Wait until one of these texts is shown, and return when it came."""
        return self.wait_until(lambda: any(text in self.text for text in texts))

    def wait_until(
        self, holds: Callable[[], object], limit_s: float = LIMIT_S, look_s: float = _LOOK_S
    ) -> Moment:
        """Read until something holds; the moment is that of the output that made it so.

        Args:
            holds: asked after each output, and after `look_s` without any.
            limit_s: seconds after which it is given up.
            look_s: the longer, the less of the processor is taken from the program.

        Raises:
            RuntimeError: the program ended, or it takes too long; with what the terminal shows.
        """
        limit = time.monotonic() + limit_s
        while not holds():
            if self._popen.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"the program did not come that far:\n{self.text}")
            self._read(look_s)
        return self._moment(self._read_at)

    def watch(self, seconds: float) -> None:
        """Read for a while."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            self._read(rest)

    def settle(self, seconds: float, limit_s: float = LIMIT_S) -> None:
        """Read until nothing has come for so long; at most for `limit_s`."""
        limit = time.monotonic() + limit_s
        sent, since = self._sent, time.monotonic()
        while time.monotonic() < min(since + seconds, limit):
            self._read(_LOOK_S)
            if self._sent != sent:
                sent, since = self._sent, time.monotonic()

    def rest(self, seconds: float) -> None:
        """Read until for so long nothing has come and next to nothing was computed, at most for `LIMIT_S`."""
        limit, before = time.monotonic() + LIMIT_S, self.now()
        while time.monotonic() < limit:
            self.watch(seconds)
            now = self.now()
            if now.sent == before.sent and now.cpu_seconds - before.cpu_seconds < _REST_SHARE * seconds:
                return
            before = now

    def press(self, keys: str) -> Moment:
        """Type keys; return the moment before."""
        moment = self.now()
        os.write(self._master, keys.encode())
        return moment

    def leave(self, limit_s: float = _LEAVE_S) -> None:
        """Tell the program to end, and wait for that for so many seconds at most."""
        self._popen.terminate()
        with suppress(RuntimeError):
            self.wait_until(lambda: False, limit_s)

    def _moment(self, at: float) -> Moment:
        cpu = 0.0
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                cpu += sum(process.cpu_times()[:4])  # of itself and of its ended children
        return Moment(at - self._began, cpu, self._sent)

    def _read(self, seconds: float) -> None:
        if not select.select([self._master], [], [], seconds)[0]:
            return
        data = b""
        with suppress(OSError):  # the other side of the terminal was closed
            data = os.read(self._master, 65536)
        if not data:
            time.sleep(_LOOK_S)
            return
        self._read_at = time.perf_counter()
        self._sent += len(data)
        if _SYNC_ASKED in data:
            os.write(self._master, _SYNC_KNOWN)
        self._stream.feed(data.replace(b"\x1b[>25u", b"").replace(b"\x1b[<u", b""))


@contextmanager
def watched_app(
    root: Path,
    *arguments: str,
    program: tuple[str, ...] = ("-m", "tui"),
    has_terminal: bool = True,
    limit_s: float = _LEAVE_S,
) -> Iterator[WatchedApp]:
    """Start the app on a project, and tell it to end at the end; nothing of it runs afterwards.

    Args:
        root: the project directory.
        arguments: more of the command line.
        program: what Python runs.
        has_terminal: else its input is empty and its output a pipe.
        limit_s: seconds that it has to end.
    """
    master, slave = _terminal() if has_terminal else os.pipe()
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiles all of the program at each start
    environment |= {"TERM": "xterm-256color", "MQLORA_LANG": "en"}
    command = [sys.executable, *program, "-C", str(root), *arguments]
    process = subprocess.Popen(
        command,
        cwd=_ROOT,
        env=environment,
        stdin=slave if has_terminal else subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        app = WatchedApp(process, master)
        yield app
        app.leave(limit_s)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)


def _terminal() -> tuple[int, int]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return master, slave
