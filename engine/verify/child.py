"""A training process whose events are read from a pipe, and that can be interrupted at any moment."""

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from engine.blas import fixed_threads
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project

ChildEvent = dict[str, Any]
"""What `train --json` prints: see `engine.training.events.as_json`."""


@dataclass(frozen=True)
class Launcher:
    """How this program's command line is started in a process of its own."""

    command: Sequence[str]
    """Program and arguments before `-C`."""
    environment: Mapping[str, str]


class TrainingProcess:
    """A headless run as seen from outside: its events, its end, and signals to it."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        """Watch `process`, whose output is a pipe and whose errors go to the file `errors`."""
        self._process = process
        self._errors = errors
        self.last: ChildEvent = {"event": ""}
        """The newest event that was read."""
        self.step = 0
        """Steps of the run that are done, as far as events were read."""

    def events(self) -> Iterator[ChildEvent]:
        """Yield events until the process closes its output; a line torn by its death is left out."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                read = json.loads(line)
            except ValueError:
                continue
            if "event" not in read:  # a refusal, which is on the error stream too
                continue
            self.last = read
            if self.last["event"] in ("started", "step_done"):
                self.step = self.last["step"]
            yield self.last

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def interrupt(self, number: signal.Signals) -> None:
        """Send a signal; it does not matter if the process has just ended."""
        self._process.send_signal(number)

    def end(self, interrupted_by: signal.Signals | None = None) -> int:
        """Wait for the end and return the exit code, negative for a signal.

        Args:
            interrupted_by: the signal it was sent, if any.

        Raises:
            UserError: it ended otherwise than by itself or by that signal; its own sentence is given.
        """
        code = self._process.wait()
        expected = {0} if interrupted_by is None else {0, -interrupted_by, 128 + interrupted_by}
        if code in expected:
            return code
        raise UserError(self._sentence() or _without_a_word(code), "")

    def _sentence(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


@contextmanager
def training_process(launcher: Launcher, project: Project, *options: str) -> Iterator[TrainingProcess]:
    """Run `train --json` in `project`; at the end of the `with` block the process has ended.

    It gets a session of its own, so that a Ctrl+C meant for this process does not pause it.
    """
    command = [*launcher.command, "-C", str(project.root), "train", "--json", *options]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            # Runs are compared byte by byte, see `engine.threads`.
            env={**launcher.environment, **fixed_threads(launcher.environment)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield TrainingProcess(process, errors)
        finally:
            process.kill()


def _without_a_word(code: int) -> str:
    if code >= 0:
        return _("The training process ended with exit code {code}").format(code=code)
    return _("The training process was ended by {signal}").format(signal=signal.Signals(-code).name)
