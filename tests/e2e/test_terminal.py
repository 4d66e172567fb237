"""The real program on a real terminal: keys, Ctrl+C, signals, a lost connection."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tests.support.app_on_pty import app_while_training, steps, wait_until
from tests.support.terminal import LIMIT_S, Terminal, process_is_gone
from tests.support.tiny import RUN, owned_by, pairs, write_rows
from tui.run.handover import has_notice

import pytest

ALT_SCREEN_OFF = b"\x1b[?1049l"


def headless(project: Project) -> Terminal:
    terminal = Terminal("-C", str(project.root), "train")
    wait_until(lambda: steps(project) >= 3)
    return terminal


def status(project: Project) -> str:
    state = RunState.load(project.state_file)
    return state.status if state else ""


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


@pytest.mark.slow
def test_ctrl_c_in_a_validation_leaves_files_that_agree(project: Project) -> None:
    """State, checkpoint and metrics are of the step whose validation was cut short; the report too."""
    write_rows(project.valid_file, pairs(2000))
    RUN.updated({"eval_every": 3, "save_every": 0, "num_epochs": 9}).save(project.config_file)
    terminal = Terminal("-C", str(project.root), "train")
    wait_until(lambda: (state := RunState.load(project.state_file)) is not None and state.unvalidated == 3)
    terminal.press("\x03")
    assert terminal.wait() == 128 + signal.SIGINT
    assert_paused(project)
    summary = summarise(project)
    assert (summary.steps, summary.failed_validations) == (3, 0)
    assert judge(summary).headline.startswith("Paused at step 3 of ")


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


@pytest.mark.parametrize("start", [app_while_training, headless])
def test_a_lost_connection_hands_the_run_over(project: Project, start: Callable[[Project], Terminal]) -> None:
    """A hang-up: checkpoint, the run goes on in the background, the program ends."""
    terminal = start(project)
    terminal.hang_up()
    assert terminal.wait() == 128 + signal.SIGHUP
    saved = steps(project)  # nobody but the run in the background makes more
    wait_until(lambda: lock_owner(project) is not None and steps(project) > saved + 3)
    assert has_notice(project)
    end_background(project)


def end_background(project: Project) -> None:
    """Pause the run of another session and wait until it is gone."""
    owner = lock_owner(project)
    assert owner is not None and os.getsid(owner.pid) != os.getsid(0)
    os.kill(owner.pid, signal.SIGTERM)
    assert process_is_gone(owner.pid)
    assert_paused(project)


def test_without_a_terminal_a_hang_up_pauses(project: Project) -> None:
    """Started by cron or a script there is nothing to lose: SIGHUP means pause, as SIGTERM does."""
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "train"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as program:
        wait_until(lambda: steps(project) >= 3)
        program.send_signal(signal.SIGHUP)
        program.communicate(timeout=LIMIT_S)
    assert program.returncode == 128 + signal.SIGHUP
    assert lock_owner(project) is None
    assert_paused(project)


def test_output_that_nobody_reads_any_more_pauses_the_run(project: Project) -> None:
    """As after `train | head -1`: a checkpoint, the usual 141, and why."""
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "train", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout and program.stderr
        assert json.loads(program.stdout.readline())["event"] == "phase"
        program.stdout.close()
        assert "Nobody reads the output" in program.stderr.read().decode()
        assert program.wait(LIMIT_S) == 141
    assert_paused(project)


@pytest.mark.slow
def test_a_stalled_terminal_neither_stops_training_nor_ctrl_c(project: Project) -> None:
    """Nobody reads the screen: steps go on, the key is heard, and later everything is drawn anew."""
    terminal = app_while_training(project)
    terminal.stall("14")
    begun = steps(project)
    wait_until(lambda: steps(project) > begun + 20)
    terminal.press("\x03")
    wait_until(lambda: status(project) == "paused")
    assert_paused(project)
    terminal.read_on()
    terminal.wait_for("Enter Resume")
    assert "4 Train" in terminal.text and "validation" in terminal.text
    terminal.press("q")
    assert terminal.wait() == 0


@pytest.mark.slow
def test_t_takes_a_background_run_into_the_app(project: Project) -> None:
    """The app opens at the run of another process; one key brings it here."""
    terminal = Terminal("-C", str(project.root), "train", "--background")
    assert terminal.wait() == 0
    other = lock_owner(project)
    assert other is not None
    terminal = Terminal("-C", str(project.root))
    terminal.wait_for("t Take over")
    terminal.press("t")
    terminal.wait_for("Take the run over?")
    terminal.press("\r")
    wait_until(lambda: (owner := lock_owner(project)) is not None and owner != other)
    begun = steps(project)
    wait_until(lambda: steps(project) > begun + 3)
    assert process_is_gone(other.pid)
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    assert_paused(project)


@pytest.mark.slow
def test_monitor_leaves_the_run_alone_or_pauses_it(project: Project) -> None:
    """q quits the viewer, Ctrl+C pauses the run, and the terminal is as before."""
    run = headless(project)
    monitor = Terminal("-C", str(project.root), "monitor")
    monitor.wait_for("Ctrl+C pauses the run")
    monitor.press("q")
    assert monitor.wait() == 0 and monitor.attributes() == monitor.first_attributes
    assert status(project) == "running"
    monitor = Terminal("-C", str(project.root), "monitor")
    monitor.wait_for("Ctrl+C pauses the run")
    monitor.press("\x03")
    assert monitor.wait() == 0 and monitor.attributes() == monitor.first_attributes
    assert "Paused at step" in monitor.text
    assert run.wait() == 128 + signal.SIGINT
    assert_paused(project)


def test_monitor_ends_with_its_terminal(project: Project) -> None:
    """A hang-up is no defect, and the run does not notice."""
    RunState("running", "tiny", step=3, total_steps=9).save(project.state_file)
    with owned_by(project, os.getppid()):
        monitor = Terminal("-C", str(project.root), "monitor")
        monitor.wait_for("Ctrl+C pauses the run")
        monitor.hang_up()
        assert monitor.wait() == 128 + signal.SIGHUP
    assert status(project) == "running"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
