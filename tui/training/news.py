"""What became of a run whose connection was lost, for the next start to tell."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from engine.files import read_own, write_json
from engine.i18n import _
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState

import psutil

_FILE = "handover.json"


@dataclass(frozen=True)
class Handover:
    """A run that went on without its terminal, and of which nobody has been told yet."""

    time: str
    """When the connection was lost, ISO 8601."""
    step: int
    """Optimizer steps done by then."""
    pid: int = 0
    """The process that is to go on; 0 if it could not be started."""

    def save(self, project: Project) -> None:
        """Write it into the run's folder."""
        write_json(project.run_dir / _FILE, asdict(self))


def has_news(project: Project) -> bool:
    """Whether `take_news` has something to tell."""
    return (project.run_dir / _FILE).exists()


def take_news(project: Project) -> str:
    """Return what became of a run whose connection was lost, once; empty if there is nothing to tell."""
    path = project.run_dir / _FILE
    try:
        handover = Handover(**json.loads(read_own(path)))
        when = datetime.fromisoformat(handover.time).astimezone()
        is_starting = _is_starting(project, handover)
        if not is_starting:
            path.unlink()
    except (OSError, ValueError, TypeError):
        return ""
    lost = _("The connection was lost on {day} at {clock}, at step {step:,}").format(
        day=f"{when:%Y-%m-%d}", clock=f"{when:%H:%M}", step=handover.step
    )
    fate = _("the run is starting in the background.") if is_starting else _fate(project, handover)
    return f"{lost}; {fate}"


def _is_starting(project: Project, handover: Handover) -> bool:
    """Whether the background process is there but does not hold the run yet."""
    state = RunState.load(project.state_file)
    has_begun = lock_owner(project) is not None or state is None or state.step > handover.step
    return not has_begun and handover.pid > 0 and psutil.pid_exists(handover.pid)


def _fate(project: Project, handover: Handover) -> str:
    state = RunState.load(project.state_file)
    if lock_owner(project):
        return _("the run goes on in the background.")
    if state is None or state.step <= handover.step:
        log = project.log_file.relative_to(project.root)
        return _("the run did not go on in the background, see {log}.").format(log=log)
    return _("the run went on in the background to step {step:,}.").format(step=state.step)
