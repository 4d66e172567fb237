"""Processes that are started for the self-test, and that end in time with all they started."""

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line
from engine.training.crash import cause_of_death

import psutil

_ROOT = Path(__file__).parents[2]
_DEATH_S = 5.0
"""Longest wait for processes that were killed."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    """Exit code, negative for a signal."""
    output: str
    errors: str

    def failure(self) -> UserError:
        """Return why it failed, in its own last words where it had some."""
        if self.code < 0:
            return UserError(cause_of_death(-self.code, self.errors)[0], "")
        last = one_line(self.errors.strip().rpartition("\n")[2], 300)
        return UserError(last or _("It ended with exit code {code}").format(code=self.code), "")


def run_to_end(command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> Ended:
    """Run a program of this checkout without input, and return how it ended.

    Raises:
        subprocess.TimeoutExpired: it did not end within `limit_s` seconds, and was ended.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=_ROOT,  # where `engine` is found, installed or not
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,  # a Ctrl+C is meant for this process, which ends it then
        )
        try:
            code = process.wait(limit_s)
        finally:
            end_family(process)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", errors="replace"))
        return Ended(code, *texts)


def end_family(process: "subprocess.Popen[Any]") -> None:
    """Kill a process and all that it started, and wait until they are gone."""
    wait_family(process, kill_family(process))


def kill_family(process: "subprocess.Popen[Any]") -> list[psutil.Process]:
    """Kill a process and all that it started, without waiting; return what it started."""
    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()  # first, so that it has no time to start another
    for member in family:
        with suppress(psutil.Error):
            member.kill()
    return family


def wait_family(process: "subprocess.Popen[Any]", family: Sequence[psutil.Process]) -> None:
    """Wait until a process that was killed is gone, and what it started too."""
    process.wait()
    psutil.wait_procs(family, timeout=_DEATH_S)


@contextmanager
def time_limit(seconds: float, end: Callable[[], object]) -> Iterator[None]:
    """Call `end` on another thread if the block takes longer than `seconds`."""
    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
