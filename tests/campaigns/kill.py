"""SIGKILL at random moments of a run.

Each try trains a copy of a tiny project in a process of its own, kills it, resumes
it in another and compares the end with that of a run that nobody disturbed. One
try in ten is killed before the run has written anything and two right after an
event, any of them; the other moments are drawn evenly from the undisturbed run's
life. A moment is kept as an event and a delay after it, so that a busy machine
does not shift it.
"""

import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError
from engine.files import PARTIAL
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState
from engine.verify.child import ChildEvent, training_process
from engine.verify.experiment import leftovers
from tests.campaigns.common import Result, outcome
from tests.campaigns.readable import complete_lines, watched
from tests.support.tiny import RUN, tiny_project
from tui.cli.verify import launcher

CONFIG = RUN.updated({"num_epochs": 6, "keep_checkpoints": 2, "lora_dropout": 0.1})
"""36 steps with 15 validations and 19 checkpoints; dropout makes the random state count."""
_EARLY, _AT_EVENT = 0.1, 0.2
_JOBS = 2
"""Tries at a time."""
_DEBRIS = {".partial-old-": "deleting a checkpoint", ".partial-checkpoint": "writing a checkpoint"}
_STAGES = {
    **dict.fromkeys(("", "notice", "tokenizing", "loading", "started"), "starting"),
    "validating": "validating",
    "saving": "saving",
}


@dataclass(frozen=True)
class Undisturbed:
    """The run that nobody kills."""

    config_file: Path
    outcome: dict[str, str]
    times: tuple[float, ...]
    """Seconds from the start of the process to each event."""
    writing: int
    """Index of the first event after which the run writes files."""


@dataclass(frozen=True)
class Moment:
    """When to kill."""

    event: int
    """Index of an event; -1 is the start of the process."""
    delay: float
    """Seconds after it."""


@dataclass(frozen=True)
class Attempt:
    """One try."""

    place: str
    """What the process was doing when it was killed."""
    faults: tuple[str, ...]
    """Promises that were broken, in words."""
    lost_steps: int
    looks: int


def campaign(tries: int, seed: int) -> list[Result]:
    """Make the tries, and return a row for each place that was hit and one for all."""
    with tempfile.TemporaryDirectory(prefix="mqlora-kill-") as name:
        folder = Path(name)
        template = tiny_project(folder / "template")
        undisturbed = _leave_alone(template, folder)

        def make(number: int) -> Attempt:
            moment = draw(undisturbed, random.Random(f"{seed} {number}"))
            return attempt(folder / f"try{number}", template, undisturbed, moment)

        with ThreadPoolExecutor(_JOBS) as pool:
            return list(_results(pool.map(make, range(tries))))


def draw(undisturbed: Undisturbed, chance: random.Random) -> Moment:
    """Draw a moment of the undisturbed run's life; see the top of this file for the odds."""
    times, begin, odds = undisturbed.times, undisturbed.times[undisturbed.writing], chance.random()
    if odds < _AT_EVENT:
        return Moment(chance.randrange(undisturbed.writing, len(times) - 1), 0.0)
    early = odds < _AT_EVENT + _EARLY
    at = chance.uniform(0, begin) if early else chance.uniform(begin, times[-1])
    event = sum(time <= at for time in times) - 1
    return Moment(event, at - (times[event] if event >= 0 else 0.0))


def attempt(root: Path, template: Project, undisturbed: Undisturbed, moment: Moment) -> Attempt:
    """Train a copy of `template` in `root`, kill it at `moment`, resume it, and say what was broken."""
    project = Project(root)
    shutil.copytree(template.root, root)
    with watched(project) as looks:
        last = _train_and_kill(project, undisturbed.config_file, moment)
        place, step = _place(project, last), len(complete_lines(project.metrics_file))
        looks.look(project)
        resumed_step, faults = _resume(project, undisturbed)
    faults += [*sorted(looks.faults), *leftovers(project)]
    shutil.rmtree(root)
    return Attempt(place, tuple(faults), step - resumed_step, looks.number)


def _train_and_kill(project: Project, config_file: Path, moment: Moment) -> ChildEvent:
    """Return the last event of the killed process."""
    with training_process(launcher(), project, "--config", str(config_file)) as process:
        if moment.event >= 0:
            for index, _event in enumerate(process.events()):
                if index == moment.event:
                    break
        time.sleep(moment.delay)
        process.interrupt(signal.SIGKILL)
        for _event in process.events():
            pass
        process.end(signal.SIGKILL)
        return process.last


def _resume(project: Project, undisturbed: Undisturbed) -> tuple[int, list[str]]:
    """Go on to the end as a user would; return where it went on, and what is not as it should be."""
    state, begun = RunState.load(project.state_file), 0
    # Where nothing was written yet there is no run to go on with: the same command is given again.
    options = () if project.config_file.exists() else ("--config", str(undisturbed.config_file))
    if state and state.status == "finished":
        begun = state.step
    else:
        try:
            with training_process(launcher(), project, *options) as process:
                for event in process.events():
                    begun = event["step"] if event["event"] == "started" else begun
                process.end()
        except UserError as error:
            return begun, [f"not resumed: {error}"]
    found = outcome(project)
    faults = [f"{name} differs" for name in found if found[name] != undisturbed.outcome[name]]
    return begun, faults + ["the lock is still held"] * (lock_owner(project) is not None)


def _leave_alone(template: Project, folder: Path) -> Undisturbed:
    project, config_file, times = Project(folder / "undisturbed"), folder / "config.json", list[float]()
    shutil.copytree(template.root, project.root)
    CONFIG.save(config_file)
    writing, begin = 0, time.monotonic()
    with training_process(launcher(), project, "--config", str(config_file)) as process:
        for event in process.events():
            times.append(time.monotonic() - begin)
            writing = len(times) - 1 if event["event"] == "started" else writing
        process.end()
    return Undisturbed(config_file, outcome(project), tuple(times), writing)


def _place(project: Project, last: ChildEvent) -> str:
    """Say what was going on: debris tells for certain, else the last event."""
    debris = " ".join(path.name for path in project.run_dir.rglob(f"{PARTIAL}*"))
    for prefix, place in _DEBRIS.items():
        if prefix in debris:
            return place
    if debris:
        return "replacing a file"
    return _STAGES.get(last.get("name") or last["event"], "making a step")


def _results(made: Iterable[Attempt]) -> Iterator[Result]:
    tried = list(made)
    for place in sorted({one.place for one in tried}):
        yield _result(f"SIGKILL while {place}", [one for one in tried if one.place == place])
    yield _result("SIGKILL, all", tried)


def _result(case: str, tried: list[Attempt]) -> Result:
    faults = Counter(fault for one in tried for fault in one.faults)
    remark = "; ".join(f"{fault} ({count})" for fault, count in faults.items())
    looks = sum(one.looks for one in tried)
    survived = sum(not one.faults for one in tried)
    lost = max((one.lost_steps for one in tried), default=0)
    return Result(case, len(tried), survived, lost, remark=remark or f"{looks:,} looks, nothing unreadable")
