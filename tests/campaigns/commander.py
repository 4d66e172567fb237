"""Commands in a child of this process, which is killed where one of them does not come back."""

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

LIMIT_S = 60.0
"""After which a command hangs: the slowest of an undisturbed project takes a tenth on a busy machine."""
_MEMORY = 6 << 30
"""Bytes that a command may ask for: what reads without end is stopped before the machine is."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int | None
    """Its exit code; None where it had to be killed."""
    out: str
    err: str
    seconds: float


class Commander:
    """Runs commands of the command line one after the other in one process, so that it is imported once."""

    def __init__(self) -> None:
        self._child: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def run(self, arguments: Sequence[str], limit_s: float = LIMIT_S) -> Ended:
        """Run a command and return how it ended."""
        pipe = self._pipe or self._start()
        begun = time.monotonic()
        pipe.send(list(arguments))
        answered = pipe.poll(limit_s)
        seconds = time.monotonic() - begun
        try:
            code, out, err = pipe.recv() if answered else (None, "", f"no end within {limit_s:.0f} s")
        except EOFError:
            code, out, err = None, "", "the process ended"
        if code is None:
            self.close()
        return Ended(code, out, err, seconds)

    def close(self) -> None:
        """End the child and what it started."""
        if self._child and self._child.pid:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.join()
        self._child = self._pipe = None

    def _start(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._child.start()
        theirs.close()
        assert self._pipe.recv() == "ready"
        return self._pipe


def _serve(pipe: Connection) -> None:
    """Run what comes through the pipe until it is closed."""
    import contextlib
    import io

    import engine.training.trainer  # noqa: F401  # MLX, so that no command is the slow first one
    from engine.backend import mx  # noqa: F401
    from tui.cli.main import main

    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    pipe.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            sys.argv = ["mqlora-tui", *pipe.recv()]
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main()
            pipe.send((code, out.getvalue(), err.getvalue()))
