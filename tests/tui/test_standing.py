"""What is said of a run to somebody who leaves it."""

import os
import socket

from engine.project import Project
from engine.training.lock_file import Owner
from engine.training.state import RunState, Status
from tests.support.fake_run import write_run
from tests.support.tiny import owned_by
from tui.run.standing import standing, words
from tui.shell import complete, work_in

import pytest


def test_without_a_run_there_is_nothing_to_say(project: Project) -> None:
    """Not even that there is none."""
    assert standing(project) == ""


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("paused", "Paused at step 30 of 60, saved. Go on with: "),
        ("failed", "The run failed at step 30 of 60: no \\x1b[2J memory. Go on with: "),
        ("running", "The run was cut off at step 30 of 60. Go on with: "),
        ("finished", "Finished at step 30; see: "),
    ],
)
def test_where_it_stands_and_how_it_goes_on(project: Project, status: Status, said: str) -> None:
    """Two lines at most; their commands name the project."""
    write_run(project, status, 30, reason="no \x1b[2J memory.")
    work_in(project)
    text = complete(standing(project))
    assert text.startswith(said) and text.count("\n") <= 1 and not text.endswith(".")
    commands = [line.partition(": ")[2].rpartition(": ")[2] or line for line in text.splitlines()]
    assert all(f" -C {project.root} " in command for command in commands)


def test_a_run_in_the_background_goes_on(project: Project) -> None:
    """With its process, and from where it is watched."""
    write_run(project, "running", 30)
    with owned_by(project, os.getppid()):
        text = standing(project)
    assert text.startswith(f"Process {os.getppid()} goes on training at step 30 of 60; watch it with: ")


def test_a_run_of_another_machine_goes_on_there() -> None:
    """Its process number says nothing here."""
    text = words(RunState("running", "toy", step=3, total_steps=9), Owner(7, f"not-{socket.gethostname()}"))
    assert text.startswith("The run goes on at step 3 of 9 on not-")
