"""A tiny project to attack again and again: its undisturbed end, and sessions that are judged."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as StopEvent

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.files import PARTIAL
from engine.project import Project
from engine.training.checkpoint import load_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.events import CheckpointSaved, Event, Finished, Mode, StepDone
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.campaigns.common import Result, outcome
from tests.support.tiny import RUN, tiny_project

Strike = Callable[[Event, StopEvent], None]
"""Called with each event of a session and with what pauses it."""


def pause_at(step: int) -> Strike:
    """Return what pauses a session after `step`."""

    def interrupt(event: Event, stop: StopEvent) -> None:
        if isinstance(event, StepDone) and event.metrics.step == step:
            stop.set()

    return interrupt


@dataclass
class Session:
    """What a session of a run told."""

    events: list[Event] = field(default_factory=list)
    refusal: str = ""
    """The sentence that it ended with; empty if it ended well."""

    @property
    def is_finished(self) -> bool:
        """Whether the run reached its end."""
        return bool(self.events) and isinstance(self.events[-1], Finished)

    @property
    def step(self) -> int:
        """The last step that was told."""
        return max((event.metrics.step for event in self.events if isinstance(event, StepDone)), default=0)

    @property
    def saved_step(self) -> int:
        """The last step whose checkpoint was told; -1 if none was."""
        return max((event.step for event in self.events if isinstance(event, CheckpointSaved)), default=-1)


class Bench:
    """A project, what its run ends in when nobody disturbs it, and copies to attack."""

    def __init__(self, folder: Path, config: TrainingConfig = RUN) -> None:
        """Make the project in `folder` and train one copy to its end."""
        self.folder = folder
        self.config = config
        self._template = tiny_project(folder / "template")
        self._copies = 0
        straight = self.copy()
        assert self.sit(straight).is_finished
        self.expected = outcome(straight)

    def copy(self, root: Path | None = None, source: Project | None = None) -> Project:
        """Return a copy of the untouched project, or of `source`."""
        self._copies += 1
        target = root or self.folder / f"copy{self._copies}"
        shutil.copytree((source or self._template).root, target)
        return Project(target)

    def sit(
        self, project: Project, interrupt: Strike = lambda event, stop: None, mode: Mode = "auto"
    ) -> Session:
        """Train until the run ends, pauses or is refused. Any other error is a defect, and raised."""
        session, stop = Session(), StopEvent()
        try:
            for event in Trainer(project, self.config, stop, mode).run():
                session.events.append(event)
                if interrupt is not None:
                    interrupt(event, stop)
        except UserError as error:
            session.refusal = str(error)
        return session

    def faults_of(self, project: Project) -> list[str]:
        """Carry a run that was interrupted on to its end, and return the promises broken there."""
        faults = []
        if not is_finished(project):  # a refused session may have written all but the folder's last entry
            resumed = self.sit(project)
            faults = [] if resumed.is_finished else [f"did not go on: {resumed.refusal}"]
        if not faults and outcome(project) != self.expected:
            faults.append("ended in other bytes")
        return faults + [f"left {path.name}" for path in leftovers(project)]

    def end_of(self, project: Project) -> list[str]:
        """Return the promises broken by a run that should be at its end, and delete the project."""
        try:
            faults = [] if outcome(project) == self.expected else ["ended in other bytes"]
        except (AssertionError, OSError):
            faults = ["no end"]
        faults += [f"left {path.name}" for path in leftovers(project)]
        shutil.rmtree(project.root)
        return faults


def is_finished(project: Project) -> bool:
    """Whether the run says so itself."""
    state = RunState.load(project.state_file)
    return state is not None and state.status == "finished"


def standing_faults(project: Project, session: Session) -> list[str]:
    """Return the promises broken by what lies on disk right after a session that was refused."""
    folders = checkpoint_folders(project.run_dir)
    faults = [f"{folder.name} is damaged" for folder in folders if load_checkpoint(folder) is None]
    newest = max(map(checkpoint_step, folders), default=-1)
    if newest < session.saved_step:
        faults.append(f"the checkpoint of step {session.saved_step} is gone")
    state = RunState.load(project.state_file)
    if state and (state.is_alive or state.status == "paused"):
        faults.append(f"the state says {state.status}")
    if project.state_file.exists() and state is None:
        faults.append("the state cannot be read")
    return faults + sentence_faults(session.refusal)


def sentence_faults(refusal: str) -> list[str]:
    """Return what is wrong with a refusal: it is one line, and says what and fix.

    A command at its end has no full stop, so that it can be copied.
    """
    ends = refusal.endswith(".") or "mqlora-tui" in refusal.rpartition("; ")[2]
    is_good = ends and "; " in refusal and "\n" not in refusal
    return [] if is_good else [f"unclear: {refusal!r}"]


def leftovers(project: Project) -> list[Path]:
    """Return what is half-written or half-deleted in the run's folder."""
    return sorted(project.run_dir.rglob(f"{PARTIAL}*"))


def steps_to_redo(project: Project, session: Session) -> int:
    """Return how many steps a session made that are in no checkpoint."""
    newest = max(map(checkpoint_step, checkpoint_folders(project.run_dir)), default=0)
    return max(0, session.step - newest)


@dataclass(frozen=True)
class Try:
    """One attack."""

    case: str
    faults: tuple[str, ...]
    lost_steps: int | None = None


def table(tries: Iterable[Try]) -> list[Result]:
    """Sum up the tries by case, in the order they came."""
    cases: dict[str, list[Try]] = {}
    for made in tries:
        cases.setdefault(made.case, []).append(made)
    return [_row(case, made) for case, made in cases.items()]


def _row(case: str, tries: list[Try]) -> Result:
    lost = [made.lost_steps for made in tries if made.lost_steps is not None]
    faults = sorted({fault for made in tries for fault in made.faults})
    survived = sum(not made.faults for made in tries)
    return Result(case, len(tries), survived, max(lost, default=None), remark="; ".join(faults))
