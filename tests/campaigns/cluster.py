"""Faults at random moments of a run of several processes.

Each try trains a copy of a tiny project with real processes, strikes one of them, or the run's owner, and
looks at what follows: it ends within a minute and says whose fault it was, nothing is left behind, and with
the same processes it goes on to the bytes of a run that nobody disturbed. Moments are drawn as in
`tests.campaigns.kill`, from the start of the owner's process to the end of its run.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.cluster.peer import MODULE
from engine.errors import UserError
from engine.project import Project
from engine.training.checkpoint import load_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.lock import lock_owner
from engine.training.state import RunState
from engine.verify.child import TrainingProcess, training_process
from engine.verify.experiment import leftovers
from tests.campaigns.common import Result, outcome
from tests.campaigns.kill import Moment, Undisturbed, draw
from tests.support.ranks import spoilt
from tests.support.tiny import RUN, tiny_project

import psutil

CONFIG = RUN.updated({"lora_dropout": 0.1, "num_epochs": 4})
LIMIT_S = 60.0
"""Within which whatever is struck has to end."""
_AWAY_S = 25.0
"""For which the owner is stopped: longer than the silence after which a process counts as gone."""
_WORDS = 4096
"""Bytes of a file in which what the owner says has room, but no checkpoint."""
_GONE_S = 20.0
"""Within which the other processes are gone after the owner."""
_CLOSING = """
import os, stat, threading, time
def strike():
    while not os.path.exists(os.environ["STRIKE"]):
        time.sleep(0.05)
    for number in range(256):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.close(number)
        except OSError:
            pass
threading.Thread(target=strike, daemon=True).start()
"""
"""What the other processes run besides, to lose their pipes when a file appears."""


@dataclass(frozen=True)
class Processes:
    """The processes of a try."""

    owner: psutil.Process
    others: list[psutil.Process]
    signal_file: Path


Strike = Callable[[Processes], None]


def _to_last(act: Callable[[psutil.Process], object]) -> Strike:
    def strike(processes: Processes) -> None:
        with suppress(psutil.Error):
            for other in processes.others[-1:]:
                act(other)

    return strike


def _limit_memory(process: psutil.Process) -> None:
    """Let a process have no more memory than it has."""
    used = process.memory_info().vms
    process.rlimit(psutil.RLIMIT_AS, (used, used))


def _fill_disk(process: psutil.Process, allowed: int) -> None:
    """Let a process write no file beyond `allowed` bytes."""
    process.rlimit(psutil.RLIMIT_FSIZE, (allowed, allowed))


def _fill_owners_disk(processes: Processes) -> None:
    with suppress(psutil.Error):
        _fill_disk(processes.owner, _WORDS)


def _stop_owner(processes: Processes) -> None:
    with suppress(psutil.Error):
        processes.owner.suspend()
        time.sleep(_AWAY_S)
        processes.owner.resume()


def _kill_both(processes: Processes) -> None:
    for process in (processes.owner, *processes.others[-1:]):
        with suppress(psutil.Error):
            process.kill()


_PEERS_DISK = "a process's disk is full"
"""Needed only while it connects, so the run may go on to its end."""
FAULTS: dict[str, Strike] = {
    "a process is killed": _to_last(psutil.Process.kill),
    "a process is stopped (SIGSTOP)": _to_last(psutil.Process.suspend),
    "a process loses its pipes": lambda processes: processes.signal_file.touch(),
    "a process gets no more memory": _to_last(_limit_memory),
    _PEERS_DISK: _to_last(lambda process: _fill_disk(process, 0)),
    "the owner's disk is full": _fill_owners_disk,
    "the owner is killed": lambda processes: processes.owner.kill(),
    "the owner is stopped and goes on": _stop_owner,
    "owner and process are killed at once": _kill_both,
}
_SAYS = {"the owner's disk is full": "Cannot write"}
"""What the sentence has that the run ends with; else who was lost."""
_OWNER_S = ("the owner is killed", "owner and process are killed at once")


@dataclass(frozen=True)
class Attempt:
    """One try."""

    faults: tuple[str, ...]
    """Promises that were broken, in words."""
    seconds: float
    """From the fault to the end of the owner."""
    lost_steps: int


def campaign(tries: int, seed: int, ranks: int, kinds: tuple[str, ...] = tuple(FAULTS)) -> list[Result]:
    """Make `tries` of each kind with `ranks` processes, and return a row for each kind."""
    with tempfile.TemporaryDirectory(prefix="mqlora-cluster-") as name:
        bench = _Bench(Path(name), ranks)
        return [
            _row(kind, [bench.attempt(kind, random.Random(f"{seed} {kind} {n}")) for n in range(tries)])
            for kind in kinds
        ]


class _Bench:
    """A project, what its run ends in when nobody disturbs it, and copies to attack."""

    def __init__(self, folder: Path, ranks: int) -> None:
        self._folder, self._ranks, self._made = folder, str(ranks), 0
        self._signal = folder / "strike"
        os.environ["STRIKE"] = str(self._signal)
        self._launcher = spoilt(folder / "spoilt", _CLOSING)
        self._template = tiny_project(folder / "template")
        self._undisturbed = self._leave_alone()

    def _leave_alone(self) -> Undisturbed:
        project, config_file, times = self._copy(), self._folder / "config.json", list[float]()
        CONFIG.save(config_file)
        writing, begin = 0, time.monotonic()
        with self._process(project, "--config", str(config_file)) as process:
            for event in process.events():
                times.append(time.monotonic() - begin)
                writing = len(times) - 1 if event["event"] == "started" else writing
            process.end()
        return Undisturbed(config_file, outcome(project), tuple(times), writing)

    def attempt(self, kind: str, chance: random.Random) -> Attempt:
        """Strike a copy once, carry it on to its end, and say what was broken."""
        project, moment = self._copy(), draw(self._undisturbed, chance)
        faults, seconds = self._struck(project, kind, moment)
        folders = checkpoint_folders(project.run_dir)
        faults += [f"{folder.name} is damaged" for folder in folders if load_checkpoint(folder) is None]
        state = RunState.load(project.state_file)
        before = state.step if state else 0
        faults += self._resume(project)
        newest = max((int(folder.name.rpartition("step")[2]) for folder in folders), default=0)
        shutil.rmtree(project.root)
        return Attempt(
            tuple(f"{fault} (at event {moment.event})" for fault in faults), seconds, before - newest
        )

    def _struck(self, project: Project, kind: str, moment: Moment) -> tuple[list[str], float]:
        """Return what was broken up to the end of the struck run, and how long that took."""
        self._signal.unlink(missing_ok=True)
        with self._process(project, "--config", str(self._undisturbed.config_file)) as process:
            if moment.event >= 0:
                for index, _event in enumerate(process.events()):
                    if index == moment.event:
                        break
            time.sleep(moment.delay)
            processes, begin = self._processes(project), time.monotonic()
            if processes is None:  # it has just come to its end
                return [], 0.0
            everybody = [processes.owner, *processes.owner.children(recursive=True)]
            FAULTS[kind](processes)
            words = _end(process, kind in _OWNER_S)
            seconds = time.monotonic() - begin
        away = _AWAY_S if kind.startswith("the owner is stopped") else 0.0
        ends = words or kind != _PEERS_DISK
        faults = [f"ended after {seconds:.0f} s"] if ends and seconds - away > LIMIT_S else []
        if words and _SAYS.get(kind, "process") not in words:
            faults.append(f"does not say why: {words}")
        if away and words:
            faults.append(f"did not go on: {words}")
        return faults + _left(everybody), seconds

    def _processes(self, project: Project) -> Processes | None:
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = process.cmdline()
                if str(project.root) in command and "train" in command:
                    others = [c for c in process.children() if MODULE in c.cmdline()]
                    return Processes(process, others, self._signal)
        return None

    def _resume(self, project: Project) -> list[str]:
        """Go on to the end as a user would; return what is not as it should be."""
        self._signal.unlink(missing_ok=True)
        state = RunState.load(project.state_file)
        if not (state and state.status == "finished"):
            options = () if project.config_file.exists() else ("--config", str(self._undisturbed.config_file))
            try:
                with self._process(project, *options) as process:
                    for _event in process.events():
                        pass
                    process.end()
            except UserError as error:
                return [f"not resumed: {error}"]
        found = outcome(project)
        faults = [f"{name} differs" for name in found if found[name] != self._undisturbed.outcome[name]]
        faults += [f"left {path}" for path in leftovers(project)]
        return faults + ["the lock is still held"] * (lock_owner(project) is not None)

    def _process(self, project: Project, *options: str) -> AbstractContextManager[TrainingProcess]:
        return training_process(self._launcher, project, "--ranks", self._ranks, *options)

    def _copy(self) -> Project:
        self._made += 1
        root = self._folder / f"copy{self._made}"
        shutil.copytree(self._template.root, root)
        return Project(root)


def _end(process: TrainingProcess, is_killed: bool) -> str:
    """Read events to the end; return the sentence that the run was refused with."""
    for _event in process.events():
        pass
    try:
        process.end(signal.SIGKILL if is_killed else None)
    except UserError as error:
        return error.problem
    return ""


def _left(everybody: list[psutil.Process]) -> list[str]:
    """Return which processes are still there, and where they listen."""
    _gone, alive = psutil.wait_procs(everybody, timeout=_GONE_S)
    faults = []
    for process in alive:
        with suppress(psutil.Error):
            ports = [c.laddr.port for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
            faults.append(f"left {process.name()} listening at {ports}")
            process.kill()
    return faults


def _row(kind: str, tried: list[Attempt]) -> Result:
    survived = sum(not one.faults for one in tried)
    faults = sorted({fault for one in tried for fault in one.faults})
    slowest = max((one.seconds for one in tried), default=0.0)
    lost = max((one.lost_steps for one in tried), default=0)
    remark = "; ".join(faults) or f"ended after {slowest:.1f} s at most"
    return Result(kind, len(tried), survived, lost, slowest, remark)
