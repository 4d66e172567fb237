"""A killed process leaves a run that goes on as if nothing had happened."""

import subprocess
import sys
from pathlib import Path

from engine.project import Project
from engine.training.events import Event
from engine.training.state import RunState
from tests.campaigns.common import outcome
from tests.support.tiny import train

import pytest

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from threading import Event
import engine.training.checkpoint as checkpoint
import engine.training.retention as ownership
from engine.project import Project
from engine.training.events import StepDone
from engine.training.trainer import Trainer
from tests.support.tiny import RUN

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

root, where = Path(sys.argv[1]), sys.argv[2]
for event in Trainer(Project(root), RUN, Event()).run():
    if isinstance(event, StepDone) and event.metrics.step == 5:
        if where == "step":
            die()
        setattr(ownership if where == "discard" else checkpoint, where, die)
"""


@pytest.mark.parametrize(
    "where", ["step", *(pytest.param(where, marks=pytest.mark.slow) for where in ("sync", "discard"))]
)
def test_a_killed_process_leaves_a_run_that_goes_on(
    project: Project, finished: tuple[Project, list[Event]], where: str
) -> None:
    """SIGKILL between steps, in the middle of a checkpoint, and before old ones are deleted."""
    arguments = [sys.executable, "-c", KILLED, str(project.root), where]
    assert subprocess.run(arguments, cwd=ROOT, check=False).returncode == -9
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "running" and not state.is_alive
    for path in (project.metrics_file, project.metrics_csv):
        with path.open("a") as file:
            file.write('{"step": 6, "lo')  # what a power cut in the middle of a line leaves
    train(project, None)
    assert outcome(project) == outcome(finished[0])
    assert not list(project.run_dir.glob(".partial-*"))
