"""What must hold after a run was told to stop."""

import os
import signal
import time
from collections.abc import Callable

from engine.config import TrainingConfig
from engine.files import PARTIAL
from engine.project import Project
from engine.training.checkpoint import newest_checkpoint
from engine.training.events import Started, StepDone
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tests.campaigns.signal_cases import STALLED, Case
from tests.support.terminal import LIMIT_S, Terminal
from tests.support.tiny import metrics_rows, train

import psutil

_MOST_BUSY = 0.5
"""Share of a core that an app with a paused run may take at most."""
_CURSOR_ON, _ALT_SCREEN_OFF = b"\x1b[?25h", b"\x1b[?1049l"


def end_of_program(case: Case, project: Project, terminal: Terminal) -> list[str]:
    """Leave an app that stays open, wait for the end, and return what is wrong with it, in words."""
    faults = []
    if case.stays_open:
        share = _share_of_a_core(processes_of(project))
        if share > _MOST_BUSY:
            faults.append(f"the paused app takes {share:.0%} of a core")
        terminal.read_on()
        terminal.press("q")
    code = terminal.wait()
    if code != case.exit_code:
        faults.append(f"exit code {code}, not {case.exit_code}")
    if terminal.is_open:
        faults += _terminal_faults(case, terminal)
    background = lock_owner(project) if case.hands_over else None
    if not case.hands_over and (left := processes_of(project)):
        faults.append(f"processes left: {[process.pid for process in left]}")
        for process in left:
            process.kill()
    if background and not _has_own_session(background.pid):
        faults.append("the background run shares the terminal's session")
    return faults


def _terminal_faults(case: Case, terminal: Terminal) -> list[str]:
    faults = []
    if terminal.attributes() != terminal.first_attributes:
        faults.append("the terminal's settings are not as before")
    if case.moment == STALLED:  # what nobody reads is not written
        return faults
    output = terminal.output
    if _CURSOR_ON not in output.rpartition(b"\x1b[?25l")[2]:
        faults.append("the cursor stays hidden")
    if case.program == "app" and _ALT_SCREEN_OFF not in output.rpartition(b"\x1b[?1049h")[2]:
        faults.append("the app's screen stays")
    return faults


def resumed(project: Project, saved: int) -> list[str]:
    """Go on for a step and return what is wrong, in words."""
    faults = _checkpoint_faults(project, saved)
    # The line of a step whose validation was cut short is written when that is done.
    next_step = len(metrics_rows(project)) + 1
    events = train(project, None, "resume", until=lambda event: isinstance(event, StepDone))
    began = [event.step for event in events if isinstance(event, Started)]
    made = [event.metrics.step for event in events if isinstance(event, StepDone)]
    if began != [saved] or made[:1] != [next_step]:
        faults.append(f"paused at {saved}, resumed at {began} with steps {made}")
    return faults + _metrics_faults(project)


def begun_anew(project: Project) -> list[str]:
    """Begin the run that was stopped before it had begun; return what is wrong, in words."""
    left = sorted(path.name for path in project.run_dir.iterdir())
    faults = [f"left {left}"] if left != [project.lock_file.name, project.config_file.name] else []
    events = train(project, TrainingConfig.load(project.config_file), until=lambda e: isinstance(e, StepDone))
    began = [event.step for event in events if isinstance(event, Started)]
    return faults + ([f"began at {began}"] if began != [0] else [])


def end_of_background(project: Project, saved: int) -> list[str]:
    """Wait for steps in the background, end the run there, and return what is wrong, in words."""
    if not _becomes(lambda: _running_step(project) > saved + 1):
        return [f"nothing went on in the background after step {saved}"]
    owner = lock_owner(project)
    if owner is None:
        return ["the background run has ended"]
    os.kill(owner.pid, signal.SIGTERM)
    if not _becomes(lambda: not processes_of(project)):
        return ["the background run does not end"]
    state = RunState.load(project.state_file)
    if state is None or state.status != "paused":
        return ["the background run did not pause"]
    return _checkpoint_faults(project, state.step) + _metrics_faults(project)


def processes_of(project: Project) -> list[psutil.Process]:
    """Return the processes that were started for `project` and are alive."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command, status = process.info["cmdline"] or [], process.info["status"]
        if str(project.root) in command and status != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def _checkpoint_faults(project: Project, saved: int) -> list[str]:
    checkpoint, damaged = newest_checkpoint(project.run_dir)
    faults = [f"{folder.name} is damaged" for folder in damaged]
    faults += [f"{path.name} is left over" for path in project.run_dir.glob(f"{PARTIAL}*")]
    if checkpoint is None or checkpoint.progress.step != saved:
        faults.append(f"the newest checkpoint is not of step {saved}")
    return faults


def _metrics_faults(project: Project) -> list[str]:
    written = [row["step"] for row in metrics_rows(project)]
    return [] if written == [*range(1, len(written) + 1)] else [f"metrics have the steps {written}"]


def _running_step(project: Project) -> int:
    state = RunState.load(project.state_file)
    return state.step if state and state.is_alive else -1


def _has_own_session(pid: int) -> bool:
    try:
        return os.getsid(pid) != os.getsid(0) and psutil.Process(pid).terminal() is None
    except (OSError, psutil.Error):
        return False


def _share_of_a_core(processes: list[psutil.Process]) -> float:
    """Return how busy the processes are over one second."""
    for process in processes:
        process.cpu_percent()
    time.sleep(1.0)
    return sum(float(process.cpu_percent()) for process in processes) / 100


def _becomes(holds: Callable[[], bool]) -> bool:
    limit = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True
