"""Two processes on one folder, stale locks, a clock that jumps."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing.connection import Connection
from pathlib import Path

from engine.project import Project
from engine.training.events import Mode, StepDone
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tests.campaigns.bench import Bench, Try, pause_at, sentence_faults, table
from tests.campaigns.clock import clocks
from tests.campaigns.common import ROOT, Result


def campaign(tries: int, is_short: bool) -> list[Result]:
    """Start `tries` races of each kind, and try each stale lock and each jump of the clock.

    The short form leaves out most of those, and what goes through the command line.
    """
    with tempfile.TemporaryDirectory(prefix="mqlora-owners-") as name:
        bench = Bench(Path(name))
        if is_short:
            few = islice(_stale(bench), 2), islice(clocks(bench), 2)
            return table([*_races(bench, tries), *chain(*few)])
        return table([*_races(bench, tries), *_commands(bench), *_stale(bench), *clocks(bench)])


# Two processes at the same instant


@dataclass(frozen=True)
class Answer:
    """What one of two racing processes has to say."""

    steps: int
    """Optimizer steps that it made."""
    refusal: str


class Racer:
    """A process that starts runs on command, at once: everything is imported already."""

    def __init__(self, bench: Bench) -> None:
        """Start the process."""
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_race, args=(bench, other), daemon=True)
        self._process.start()
        other.close()  # so that its death is the end of the pipe
        assert self._pipe.recv() == "ready"

    def start(self, project: Project, mode: Mode) -> None:
        """Let it start a run, without waiting."""
        self._pipe.send((project, mode))

    def answer(self) -> Answer:
        """Wait for the end of its run."""
        answer: Answer = self._pipe.recv()
        return answer

    def leave(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()


def _race(bench: Bench, pipe: Connection) -> None:
    pipe.send("ready")
    while order := pipe.recv():
        project, mode = order
        session = bench.sit(project, mode=mode)
        steps = sum(isinstance(event, StepDone) for event in session.events)
        pipe.send(Answer(steps, session.refusal))


def _races(bench: Bench, tries: int) -> Iterator[Try]:
    paused = bench.copy()
    bench.sit(paused, pause_at(5))
    racers = Racer(bench), Racer(bench)
    for source, case, steps in ((None, "a new run", 12), (paused, "a paused run", 7)):
        for _number in range(tries):
            faults = _start_both(bench, racers, source, steps)
            yield Try(f"two processes start {case}", tuple(faults))
    for _number in range(tries):
        yield Try("one is refused, one trains", tuple(_start_one_refused(bench, racers)))
    for racer in racers:
        racer.leave()


def _start_both(bench: Bench, racers: tuple[Racer, Racer], source: Project | None, steps: int) -> list[str]:
    """Both want to train: one does, the other says so and leaves no trace."""
    project = bench.copy(source=source)
    for racer in racers:
        racer.start(project, "auto")
    answers = sorted((racer.answer() for racer in racers), key=lambda answer: answer.steps)
    faults = [] if [answer.steps for answer in answers] == [0, steps] else [f"steps made: {answers}"]
    words = answers[0].refusal
    faults += [] if "is training in" in words or "is finished" in words else [f"refused with: {words!r}"]
    return faults + sentence_faults(words) + bench.end_of(project)


def _start_one_refused(bench: Bench, racers: tuple[Racer, Racer]) -> list[str]:
    """One wants to resume where there is no run, and takes its new folder away; the other trains.

    A lock that is held for long, since its owner gets no core, is a refusal too: then it trains
    the second time, when the first process has certainly let go.
    """
    project = bench.copy()
    racers[0].start(project, "resume")
    racers[1].start(project, "auto")
    refused, trained = racers[0].answer(), racers[1].answer()
    faults = sentence_faults(refused.refusal)
    if "is training in" in trained.refusal:
        racers[1].start(project, "auto")
        trained = racers[1].answer()
    faults += [] if (refused.steps, trained.steps) == (0, 12) else [f"{refused}, {trained}"]
    return faults + bench.end_of(project)


def _commands(bench: Bench) -> Iterator[Try]:
    """The same through the command line, for its exit codes."""
    project = bench.copy()
    bench.config.save(project.root / "run.json")
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "train", "--config"]
    command.append(str(project.root / "run.json"))
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _number in range(2)
    ]
    errors = [process.communicate()[1].strip() for process in processes]
    codes = [process.returncode for process in processes]
    faults = [] if sorted(codes) == [0, 1] else [f"exit codes {codes}: {errors}"]
    faults += sentence_faults(errors[codes.index(1)] if 1 in codes else "")
    yield Try("two commands: exit codes 0 and 1", (*faults, *bench.end_of(project)))


# Locks of processes that are gone


def _stale(bench: Bench) -> Iterator[Try]:
    """After a crash, and after a reboot that gave the pid to another program."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    pids = {"gone": gone.pid, "another program's": os.getppid(), "our own": os.getpid(), "init's": 1}
    host = socket.gethostname()
    contents = {f"pid is {name}": json.dumps({"pid": pid, "host": host}) for name, pid in pids.items()}
    contents |= {
        "another host": json.dumps({"pid": 1, "host": "elsewhere"}),
        "empty": "",
        "garbage": "\0\0[{",
    }
    for name, content in contents.items():
        project = bench.copy()
        bench.sit(project, pause_at(5))
        project.lock_file.write_text(content)
        RunState("running", "tiny", step=5, pid=os.getppid(), boot="another").save(project.state_file)
        faults = _looks_cut_off(project)
        session = bench.sit(project)
        faults += [] if session.is_finished else [session.refusal]
        yield Try(f"stale lock: {name}", (*faults, *bench.end_of(project)))


def _looks_cut_off(project: Project) -> list[str]:
    found = RunState.load(project.state_file)
    faults = [] if found and found.status == "running" and not found.is_alive else ["looks alive"]
    return faults + (["has an owner"] if lock_owner(project) else [])
