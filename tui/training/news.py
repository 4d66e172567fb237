"""What became of a run whose connection was lost, for the next start to tell."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from engine.files import write_json
from engine.i18n import _
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState

_FILE = "handover.json"


@dataclass(frozen=True)
class Handover:
    """A run that went on without its terminal, and of which nobody has been told yet."""

    time: str
    """When the connection was lost, ISO 8601."""
    step: int
    """Optimizer steps done by then."""

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
        handover = Handover(**json.loads(path.read_text(encoding="utf-8")))
        when = datetime.fromisoformat(handover.time).astimezone()
        path.unlink()
    except (OSError, ValueError, TypeError):
        return ""
    lost = _("The connection was lost on {day} at {clock}, at step {step:,}").format(
        day=f"{when:%Y-%m-%d}", clock=f"{when:%H:%M}", step=handover.step
    )
    return f"{lost}; {_fate(project, handover)}"


def _fate(project: Project, handover: Handover) -> str:
    state = RunState.load(project.state_file)
    if lock_owner(project):
        return _("the run goes on in the background.")
    if state is None or state.step <= handover.step:
        log = project.log_file.relative_to(project.root)
        return _("the run did not go on in the background, see {log}.").format(log=log)
    return _("the run went on in the background to step {step:,}.").format(step=state.step)
