"""A run in a process of its own."""

import os
import signal
import subprocess
import sys
from typing import Any

from engine.errors import UserError
from engine.project import Project
from engine.training.state import RunState
from tests.support.tiny import owned_by
from tui.respawn import SUPERVISED
from tui.run.background import StoppedEarly, spawn, start_background

import pytest


class EndedChild:
    """A process that ended before anybody looked."""

    pid = 4_000_000
    returncode: int | None

    def __init__(self, code: int) -> None:
        self.returncode = code

    def poll(self) -> int | None:
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
    monkeypatch.setattr("tui.run.background.time.sleep", wait)
    return start_background(project, ["--resume"])


def test_a_run_that_is_over_at_once_is_not_waited_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of a few steps may be finished before its state was seen."""
    assert start(project, monkeypatch, 0) == EndedChild.pid


def test_a_run_that_is_refused_says_why(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is the last line that it printed, harmless to the terminal, with the fix that it has."""
    with pytest.raises(UserError, match=r"ended before it began: bad \\x1b\[2J model; see .*training\.log"):
        start(project, monkeypatch, 1, "loading\nbad \x1b[2J model\n")
    told = (
        "mac2 has ended; what is saved is kept; see training.log, then go on with: mqlora-tui train --resume"
    )
    with pytest.raises(UserError) as refused:
        start(project, monkeypatch, 1, f"{told}\n")
    assert str(refused.value) == f"The run ended before it began: {told}"


class Alive(EndedChild):
    """A process that goes on: this one, so that its relatives are real."""

    pid = os.getpid()

    def __init__(self) -> None:
        """It has no exit code yet."""
        self.returncode = None


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_stopped_while_it_got_ready_is_no_failure(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Whoever follows it can tell; its last line is not read as an error and a fix."""
    with pytest.raises(StoppedEarly):
        start(project, monkeypatch, 128 + number, "Stopped while getting ready; no step was made\n")


def test_the_trainer_may_be_a_child_of_what_was_started(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor stands before the process that trains: its pid is the one to pause the run by."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as trainer:
        project.run_dir.mkdir()
        RunState("running", "toy", pid=trainer.pid).save(project.state_file)
        monkeypatch.setattr("tui.run.background.subprocess.Popen", lambda *_a, **_k: Alive())
        with owned_by(project, trainer.pid):
            assert start_background(project, []) == trainer.pid
        trainer.communicate(b"\n")


def test_a_run_of_somebody_else_is_not_taken_for_the_new_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that trains there meanwhile is not what was started."""
    project.run_dir.mkdir()
    RunState("running", "toy", pid=os.getppid()).save(project.state_file)
    monkeypatch.setattr("tui.run.background.subprocess.Popen", lambda *_a, **_k: Alive())
    monkeypatch.setattr("tui.run.background.START_LIMIT_S", 0.05)
    with owned_by(project, os.getppid()):
        assert start_background(project, []) == Alive.pid


def test_it_depends_on_no_terminal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session and a supervisor of its own, nothing to read from, output to the log after the first line."""
    asked: dict[str, Any] = {}
    monkeypatch.setenv(SUPERVISED, "1")
    monkeypatch.setattr(subprocess, "Popen", lambda _command, **options: asked.update(options))
    _process, begin = spawn(project, [], "the connection was lost")
    assert asked["start_new_session"] and asked["stdin"] == subprocess.DEVNULL
    assert asked["stdout"].name == str(project.log_file) and asked["stderr"] == subprocess.STDOUT
    assert SUPERVISED not in asked["env"]
    assert project.log_file.read_text() == "the connection was lost\n"
    assert begin == len("the connection was lost\n")
