"""Two processes that train together, chosen, started, paused and resumed in the app."""

import re

from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tests.support.app_on_pty import app_while_training, steps, wait_until
from tests.support.terminal import Terminal
from tui.run.machines import Machines, load_machines

import psutil
import pytest


def others(project: Project) -> list[psutil.Process]:
    """Return the processes that train with the one that owns the run."""
    owner = lock_owner(project)
    if owner is None or not owner.pid:
        return []
    children = psutil.Process(owner.pid).children()
    return [child for child in children if "engine.training.rank" in child.cmdline()]


@pytest.mark.slow
def test_two_processes_are_chosen_in_the_app(project: Project) -> None:
    """The app follows them as any run of another process: steps, Ctrl+C, r, and none is left at the end."""
    terminal = Terminal("-C", str(project.root))
    terminal.wait_for("Ready for")
    terminal.press("4")
    terminal.wait_for("m chooses others")
    terminal.press("m")
    terminal.wait_for("train on")
    terminal.press(" ")
    terminal.wait_for("machines of a host file")
    terminal.press("\x1b[B\r")
    terminal.wait_for("if one is lost")
    terminal.press("\x1b[B\x7f\x7f\x7f2\r")
    terminal.wait_for("with 2 processes of this machine")
    assert load_machines(project) == Machines(ranks=2)
    terminal.press("\r")
    terminal.wait_for("led by process")
    wait_until(lambda: steps(project) >= 3)
    assert len(others(project)) == 1
    paused_at = pause(project, terminal)
    terminal.press("r")
    wait_until(lambda: steps(project) > paused_at)
    assert len(others(project)) == 1
    pause(project, terminal)
    terminal.press("q")
    assert terminal.wait() == 0


@pytest.mark.slow
def test_a_lost_process_is_named_and_the_run_goes_on(project: Project) -> None:
    """With a new one after r; by itself, with those that are left, where that was chosen."""
    Machines(ranks=2).save(project)
    terminal = app_while_training(project)
    others(project)[0].kill()
    terminal.wait_for("fewer.")  # where the line breaks depends on paths
    state = RunState.load(project.state_file)
    assert state is not None and (state.status, state.lost_rank) == ("failed", 1)
    Machines(ranks=2, go_on_with_fewer=True).save(project)
    terminal.press("r")
    terminal.wait_for("led by process")
    wait_until(lambda: steps(project) > state.step and len(others(project)) == 1)
    owner = lock_owner(project)
    others(project)[0].kill()
    wait_until(lambda: "goes on without it" in reason(project))
    meanwhile = RunState.load(project.state_file)
    assert meanwhile is not None and (meanwhile.status, meanwhile.lost_rank) == ("running", 1)
    while reason(project):  # until it is ready again: nobody may take it for a run that failed, or for free
        assert lock_owner(project) == owner
    terminal.wait_until(lambda: re.search(r"Process \d+\s+trains; Ctrl\+C\s+pauses it", terminal.text))
    before = steps(project)
    wait_until(lambda: steps(project) > before)
    assert others(project) == []
    pause(project, terminal)
    terminal.press("q")
    assert terminal.wait() == 0


def reason(project: Project) -> str:
    """Return what the run's state tells besides its figures."""
    state = RunState.load(project.state_file)
    return state.reason if state else ""


def pause(project: Project, terminal: Terminal) -> int:
    """Press Ctrl+C, wait for the checkpoint and return its step."""
    terminal.wait_for("● running")
    terminal.press("\x03")
    terminal.wait_for("Pause a run of another process?")
    terminal.press("\x03")
    terminal.wait_for("paused at step")
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "paused" and state.last_checkpoint is not None
    assert state.last_checkpoint.endswith(f"step{state.step}") and state.step == steps(project)
    assert lock_owner(project) is None
    return state.step
