"""A run that a process is said to work on."""

from engine.project import Project
from engine.training.state import RunState

PID = 4711


def running(project: Project, checkpoint: str | None, pid: int = PID) -> None:
    RunState("running", "tiny", step=7, last_checkpoint=checkpoint, pid=pid).save(project.state_file)
