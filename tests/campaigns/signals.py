"""Signals and lost terminals at every stage of a run.

The real program runs on a terminal of its own, in the app and headless, and is told
to stop in every way there is. Each try checks that no step is made after the one under
way, that the checkpoint is whole and the run goes on from it (by itself where the
connection was lost), the exit code, the terminal's settings and that no process stays.
"""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tests.campaigns.common import Result
from tests.campaigns.signal_cases import (
    CTRL_C,
    FIRST_VALIDATION,
    HUNG_UP,
    LATER_VALIDATION,
    LOADING,
    SAVING,
    STALLED,
    UNDER_NOHUP,
    Case,
)
from tests.campaigns.signal_checks import (
    begun_anew,
    end_of_background,
    end_of_program,
    processes_of,
    resumed,
)
from tests.support.terminal import Terminal
from tests.support.tiny import pairs, tiny_project, write_model, write_rows

# Steps of a few tenths of a second, so that counting them tells when they were made.
_CONFIG = TrainingConfig(
    model="tiny",
    batch_size=4,
    gradient_accumulation=16,
    max_seq_length=64,
    num_epochs=4,
    eval_every=0,
    save_every=0,
    lora_rank=2,
)
_ROWS = 3200
_WIDE = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 6}
"""Sizes of a model whose adapter of rank 512 takes a while to save."""


@dataclass(frozen=True)
class Attempt:
    """One try."""

    faults: tuple[str, ...]
    """Promises that were broken, in words."""
    pause_s: float
    """Seconds from the signal to the saved pause."""
    lost_steps: int
    """Steps that were made but not saved."""


def attempt(case: Case, folder: Path) -> Attempt:
    """Start the program on a new project in `folder` and do to it what the case says."""
    project = make_project(case.moment, folder)
    with running(case, project) as terminal:
        _reach(case.moment, terminal, project)
        began = time.monotonic()
        _strike(case.way, terminal)
        before = steps(project)  # those of the time in which this process got no core are not counted
        if case.moment == SAVING:
            wait_for(lambda: any(project.run_dir.glob(".partial-checkpoint*")), terminal)
            _strike(case.way, terminal)
        wait_for(lambda: status(project) == "paused" or (case.may_end and terminal.has_ended), terminal)
        pause_s, made = time.monotonic() - began, steps(project)
        faults = end_of_program(case, project, terminal)
    state = RunState.load(project.state_file)
    if case.may_end and state is None:
        return Attempt((*faults, *begun_anew(project)), pause_s, 0)
    saved = state.step if state and not case.hands_over else made
    # The app has to look for a hang-up without a signal, and a key goes through its event loop, which a
    # terminal that nobody reads holds up: either may take another step.
    is_slow = case.way == UNDER_NOHUP or (case.moment, case.way) == (STALLED, CTRL_C)
    if made > before + (2 if is_slow else 1):
        faults.append(f"{made - before} steps after the signal")
    faults += end_of_background(project, made) if case.hands_over else resumed(project, saved)
    return Attempt(tuple(faults), pause_s, max(0, made - saved))


def make_project(moment: str, folder: Path) -> Project:
    """Return a project whose run reaches the stage and stays there for a while."""
    project = tiny_project(folder, train=_ROWS, valid=4)
    changes: dict[str, int] = {}
    if moment in (FIRST_VALIDATION, LATER_VALIDATION):
        write_rows(project.valid_file, pairs(1200))
        changes = {"eval_every": 2}
    if moment == SAVING:
        write_model(project.models_dir / "wide", quantize=True, **_WIDE)
        changes = {"lora_rank": 512, "gradient_accumulation": 1}
    project.run_dir.mkdir()
    _CONFIG.updated({"model": "wide" if moment == SAVING else "tiny", **changes}).save(project.config_file)
    return project


@contextmanager
def running(case: Case, project: Project) -> Iterator[Terminal]:
    """Start the program and its run on a terminal; nothing of it is left afterwards."""
    command = ["-C", str(project.root)] + ["train"] * (case.program == "headless")
    terminal = Terminal(*command, columns=120, rows=40, ignore_hang_ups=case.ignores_hang_ups)
    try:
        if case.program == "app":
            press_start(terminal)
        yield terminal
    except BaseException:
        for process in processes_of(project):
            process.kill()
        raise
    finally:
        terminal.close()


def press_start(terminal: Terminal) -> None:
    """Start a run by the keys of the app."""
    terminal.wait_for("Ready for")
    terminal.press("4")
    terminal.wait_for("Enter Start")
    terminal.press("\r")


def _reach(moment: str, terminal: Terminal, project: Project) -> None:
    """Wait for the stage."""
    if moment == LOADING:
        wait_for(lambda: lock_owner(project), terminal)
    elif moment in (FIRST_VALIDATION, LATER_VALIDATION):
        least = 0 if moment == FIRST_VALIDATION else 2
        wait_for(lambda: _validates(project, least), terminal)
    else:
        wait_for(lambda: steps(project) >= 2, terminal)
    if moment == STALLED:
        terminal.stall("14")
    if moment == HUNG_UP:
        terminal.hang_up()
        before = steps(project)
        wait_for(lambda: steps(project) > before + 2, terminal)


def _strike(way: str, terminal: Terminal) -> None:
    if way == CTRL_C:
        terminal.press("\x03")
    elif way.startswith("SIG"):
        terminal.signal(signal.Signals[way])
    else:
        terminal.hang_up()


def wait_for(holds: Callable[[], object], terminal: Terminal) -> None:
    """Wait until something holds; fail with the terminal's screen if it never does."""
    terminal.wait_until(holds, "so far it")


def status(project: Project) -> str:
    """Return the status in the run's state, empty without one."""
    state = RunState.load(project.state_file)
    return state.status if state else ""


def _validates(project: Project, least: int) -> bool:
    state = RunState.load(project.state_file)
    return state is not None and state.phase == "validating" and state.step >= least


def steps(project: Project) -> int:
    """Return how many steps have their line."""
    try:
        return project.metrics_file.read_bytes().count(b"\n")
    except OSError:
        return 0


def tried(name: str, tries: int, once: Callable[[Path], Attempt]) -> Result:
    """Make so many attempts, each in a new folder, and sum them up."""
    attempts = []
    for _try in range(tries):
        with tempfile.TemporaryDirectory(prefix="signals-") as folder:
            try:
                attempts.append(once(Path(folder)))
            except AssertionError as error:
                attempts.append(Attempt((str(error),), 0.0, 0))
    return Result(
        name,
        tries,
        sum(not one.faults for one in attempts),
        max(one.lost_steps for one in attempts),
        max(one.pause_s for one in attempts),
        "; ".join(sorted({fault for one in attempts for fault in one.faults})),
    )
