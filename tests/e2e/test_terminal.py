"""The real program on a real terminal: keys, Ctrl+C, signals, a lost connection."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from engine.project import Project
from engine.training.state import RunState
from tests.e2e.terminal import LIMIT_S, Terminal, process_is_gone
from tests.tiny import tiny_project

import psutil
import pytest

ALT_SCREEN_OFF = b"\x1b[?1049l"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose run takes a minute or so, longer than any of these tests needs."""
    return tiny_project(tmp_path, train=4000, valid=10)


def app_while_training(project: Project) -> Terminal:
    terminal = Terminal("-C", str(project.root))
    terminal.wait_for("Ready for")
    terminal.press("4")
    terminal.wait_for("Enter Start")
    terminal.press("\r")
    terminal.wait_for("● running")
    wait_until(lambda: steps(project) >= 3)
    return terminal


def headless(project: Project) -> Terminal:
    terminal = Terminal("-C", str(project.root), "train")
    wait_until(lambda: steps(project) >= 3)
    return terminal


def wait_until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.05)


def steps(project: Project) -> int:
    try:
        return len(project.metrics_file.read_text().splitlines())
    except OSError:
        return 0


def assert_paused(project: Project) -> None:
    """The run is saved, its checkpoint is at its last step, and nobody holds it."""
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "paused"
    assert state.last_checkpoint is not None
    saved = json.loads((project.run_dir / state.last_checkpoint / "state.json").read_text())
    assert saved["step"] == state.step == steps(project)
    assert not list(project.run_dir.glob(".partial-*"))


def test_ctrl_c_pauses_and_r_resumes_in_the_app(project: Project) -> None:
    """From start to pause, resume and quit only by keys; the terminal is given back."""
    terminal = app_while_training(project)
    terminal.press("\x03")
    terminal.wait_for("paused at step")
    assert_paused(project)
    paused_at = steps(project)
    terminal.press("r")
    wait_until(lambda: steps(project) > paused_at)
    terminal.press("\x03")
    terminal.wait_for("Enter Resume")
    terminal.press("q")
    assert terminal.wait() == 0
    assert_paused(project)
    assert ALT_SCREEN_OFF in terminal.output


def test_quitting_while_training_asks_then_saves(project: Project) -> None:
    """q asks; yes pauses with a checkpoint and leaves."""
    terminal = app_while_training(project)
    terminal.press("q")
    terminal.wait_for("Leave while training?")
    terminal.press("\r")
    assert terminal.wait() == 0
    assert_paused(project)


def test_sigterm_saves_and_restores_the_terminal(project: Project) -> None:
    """SIGTERM to the app: checkpoint, 128 + 15, terminal as before."""
    terminal = app_while_training(project)
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    assert_paused(project)
    assert ALT_SCREEN_OFF in terminal.output


def test_a_lost_connection_hands_the_run_over(project: Project) -> None:
    """A hang-up: checkpoint, the run goes on in the background, the app ends."""
    terminal = app_while_training(project)
    begun = steps(project)
    terminal.hang_up()
    assert terminal.wait() == 128 + signal.SIGHUP
    wait_until(lambda: steps(project) > begun + 3)
    state = RunState.load(project.state_file)
    assert state is not None and state.is_alive and state.pid != terminal.pid
    background = psutil.Process(state.pid)
    background.send_signal(signal.SIGTERM)
    assert process_is_gone(state.pid)
    assert_paused(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_pauses_a_headless_run(project: Project, number: signal.Signals) -> None:
    """Headless: the signal saves a checkpoint and shows in the exit code; the run can be resumed."""
    terminal = headless(project)
    terminal.signal(number)
    assert terminal.wait() == 128 + number
    assert_paused(project)


def test_ctrl_c_on_the_keyboard_pauses_a_headless_run(project: Project) -> None:
    """Ctrl+C typed at a headless run, twice, is one clean pause."""
    terminal = headless(project)
    terminal.press("\x03")
    terminal.press("\x03")
    assert terminal.wait() == 128 + signal.SIGINT
    assert "Paused at step" in terminal.text
    assert_paused(project)
