"""One training run of the real program, headless or in the app, and how long its steps took."""

import fcntl
import json
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
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.project import Project
from engine.training.state import RunState

import psutil
import pyte

SIDES = ("headless", "app")
COLUMNS, ROWS = 120, 40
LIMIT_S = 900.0
"""After which a run is given up."""
_LEAVE_S = 60.0
"""After which a program that was told to end is killed."""
_LOOK_S = 0.1
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Steps:
    """The optimizer steps of a run that count."""

    seconds: list[float]
    """Wall-clock time of each."""
    tokens: list[int]
    """Real tokens of each."""
    cpu_seconds: float
    """CPU time of the process group a step."""


class Program:
    """A process group whose output is read and thrown away."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: int) -> None:
        self._process = psutil.Process(process.pid)
        self._popen = process
        self._output = output
        self._screen = pyte.Screen(COLUMNS, ROWS)  # the app sends what changes, not whole words
        self._terminal = pyte.ByteStream(self._screen)

    def type(self, keys: bytes) -> None:
        """Type on its terminal."""
        os.write(self._output, keys)

    def wait_for(self, text: str) -> None:
        """Read until its screen shows `text`."""
        self.wait_until(lambda: text in "\n".join(self._screen.display))

    def wait_until(self, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        """Read until something holds.

        Raises:
            RuntimeError: the program ended, or it takes too long; with what its screen shows.
        """
        limit = time.monotonic() + limit_s
        while not holds():
            if self._popen.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"the run did not come that far: {self._screen.display}")
            self._read()

    def cpu_seconds(self) -> float:
        """Return the CPU time of the group so far."""
        times = [p.cpu_times() for p in (self._process, *self._process.children(recursive=True))]
        return float(sum(t.user + t.system for t in times))

    def leave(self) -> None:
        """Tell it to end and wait for that."""
        self._popen.terminate()
        with suppress(RuntimeError):
            self.wait_until(lambda: False, _LEAVE_S)

    def _read(self) -> None:
        if select.select([self._output], [], [], _LOOK_S)[0]:
            with suppress(OSError):  # the other side of the terminal was closed
                self._terminal.feed(os.read(self._output, 65536))


def run_program(side: str, project: Project, steps: int, skip: int) -> Steps:
    """Train in a new project, one of `SIDES`; no process of it is left afterwards.

    Args:
        side: how.
        project: with the selected configuration and as much data as it takes.
        steps: optimizer steps of the run.
        skip: first steps that do not count; the last does not either.

    Raises:
        RuntimeError: the program ended early or hangs.
    """
    with _on_terminal(project) if side == "app" else _on_pipe(project) as program:
        if side == "app":
            program.wait_for("Ready for")
            program.type(b"4")
            program.wait_for("Enter Start")
            program.type(b"\r")
        marks = []
        for step in (skip, steps - 1):
            program.wait_until(partial(_has_made, project, step))
            marks.append((len(_metrics(project)), program.cpu_seconds()))
        program.wait_until(lambda: _is_finished(project))
    (first, cpu_first), (last, cpu_last) = marks
    counted = _metrics(project)[max(0, skip - 1) : steps - 1]
    elapsed = [row["elapsed_s"] for row in counted]
    return Steps(
        seconds=[after - before for before, after in pairwise(elapsed)],
        tokens=[row["tokens"] for row in counted[1:]],
        cpu_seconds=(cpu_last - cpu_first) / max(1, last - first),
    )


@contextmanager
def _on_terminal(project: Project) -> Iterator[Program]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    with _ended([], project, environment | {"TERM": "xterm-256color"}, slave, slave) as process:
        os.close(slave)
        program = Program(process, master)
        yield program
        program.leave()
    os.close(master)


@contextmanager
def _on_pipe(project: Project) -> Iterator[Program]:
    reading, writing = os.pipe()
    with _ended(["train"], project, dict(os.environ), subprocess.DEVNULL, writing) as process:
        os.close(writing)
        yield Program(process, reading)
        process.wait(LIMIT_S)
    os.close(reading)


@contextmanager
def _ended(
    arguments: list[str], project: Project, environment: dict[str, str], stdin: int, stdout: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the program in a session of its own; nothing of it runs afterwards."""
    command = [sys.executable, "-m", "tui", "-C", str(project.root), *arguments]
    process = subprocess.Popen(
        command, cwd=_ROOT, env=environment, stdin=stdin, stdout=stdout, stderr=stdout, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _metrics(project: Project) -> list[dict[str, Any]]:
    """Return the whole lines there are."""
    if not project.metrics_file.exists():
        return []
    text = project.metrics_file.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _has_made(project: Project, steps: int) -> bool:
    return len(_metrics(project)) >= steps


def _is_finished(project: Project) -> bool:
    state = RunState.load(project.state_file)
    return state is not None and state.status == "finished"
