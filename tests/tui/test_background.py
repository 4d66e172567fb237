"""A run in a process of its own."""

import subprocess
from typing import Any

from engine.errors import UserError
from engine.project import Project
from tui.commands.background import start_background

import pytest


class EndedChild:
    """A process that ended before anybody looked."""

    pid = 4_000_000

    def __init__(self, code: int) -> None:
        self.returncode = code

    def poll(self) -> int:
        """Return the exit code."""
        return self.returncode


def start(project: Project, monkeypatch: pytest.MonkeyPatch, code: int, said: str = "") -> int:
    """Start a run whose process prints `said` and ends at once with `code`."""

    def run(_command: list[str], **options: Any) -> EndedChild:
        options["stdout"].write(said.encode())
        options["stdout"].flush()
        return EndedChild(code)

    def wait(_seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")

    monkeypatch.setattr(subprocess, "Popen", run)
    monkeypatch.setattr("tui.commands.background.time.sleep", wait)
    return start_background(project, ["--resume"])


def test_a_run_that_is_over_at_once_is_not_waited_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of a few steps may be finished before its state was seen."""
    assert start(project, monkeypatch, 0) == EndedChild.pid


def test_a_run_that_is_refused_says_why(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the last line that it printed, harmless to the terminal."""
    with pytest.raises(UserError, match=r"ended at once: bad \\x1b\[2J model"):
        start(project, monkeypatch, 1, "loading\nbad \x1b[2J model\n")
