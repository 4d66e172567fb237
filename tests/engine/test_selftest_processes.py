"""The self-test's parts and processes: one that hangs or fails is told, and nothing of it goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from engine.hardware.report import Check
from engine.project import Project
from engine.selftest.bench import Bench
from engine.selftest.part import Part, Trial, found
from engine.selftest.process import end_family, run_to_end
from engine.selftest.pseudo_terminal import PseudoTerminal
from engine.selftest.run import selftest
from engine.verify.child import Launcher

import psutil
import pytest

LAUNCHER = Launcher((sys.executable, "-P", "-m", "tui"), dict(os.environ))
SLEEP = [
    sys.executable,
    "-c",
    "import os, signal; end, begin = os.pipe(); os.set_blocking(begin, False); signal.set_wakeup_fd(begin)\n"
    "print('up', flush=True); os.read(end, 1)",
]
"""Waits for a signal by a pipe: one that comes just before a sleep begins is not handled until that ends."""


def test_a_part_that_hangs_is_ended_and_the_next_one_is_tried() -> None:
    """Said in a sentence; the folder is gone."""
    folders: list[Path] = []

    def hang(bench: Bench, limit_s: float) -> Check:
        folders.append(bench.folder)
        run_to_end(SLEEP, bench.launcher.environment, limit_s)
        raise AssertionError("it ended")

    parts = [
        Part("hang", lambda: "Hang", 0.2, hang),
        Part("next", lambda: "Next", 60, lambda _bench, _limit: found("fine")),
    ]
    trials = [t for t in selftest(Project(Path()), LAUNCHER, LAUNCHER, parts=parts) if isinstance(t, Trial)]
    assert [trial.status for trial in trials] == ["error", "ok"]
    assert trials[0].check.detail == "It did not end within 0.2 s" and trials[0].check.label == "Hang"
    assert not folders[0].exists()


def test_a_process_ends_with_all_that_it_started() -> None:
    """Also what it started in a session of its own."""
    code = f"""import subprocess
child = subprocess.Popen({SLEEP!r}, stdout=subprocess.DEVNULL, start_new_session=True)
print(child.pid, flush=True)
child.wait()"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        grandchild = int(parent.stdout.readline())
        end_family(parent)
    assert parent.returncode == -signal.SIGKILL and not psutil.pid_exists(grandchild)


def test_a_part_that_raises_is_reported_and_not_the_end() -> None:
    """Also what nobody expected."""

    def fail(_bench: Bench, _limit_s: float) -> Check:
        raise ZeroDivisionError("by nought")

    [_begun, trial] = selftest(Project(Path()), LAUNCHER, LAUNCHER, parts=[Part("x", lambda: "X", 9, fail)])
    assert isinstance(trial, Trial) and trial.check.detail == "ZeroDivisionError: by nought"


def test_a_process_that_dies_is_reported_by_its_signal_or_its_last_words() -> None:
    """An abort of MLX says nothing on its own."""
    code = "import os, signal, sys; print('no Metal device', file=sys.stderr, flush=True); "
    died = run_to_end([sys.executable, "-c", code + "os.kill(os.getpid(), signal.SIGABRT)"], os.environ, 60)
    assert died.code == -signal.SIGABRT and "signal 6" in died.failure().problem
    assert run_to_end([sys.executable, "-c", code + "sys.exit(1)"], os.environ, 60).failure().problem == (
        "no Metal device"
    )


def test_ctrl_c_comes_from_a_terminal_also_where_it_was_ignored() -> None:
    """As a shell's background job leaves SIGINT ignored to what it starts."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with PseudoTerminal(SLEEP, os.environ, 60) as terminal:
            assert terminal.wait_until(lambda: b"up" in terminal.output)
            terminal.press("\x03")
            assert terminal.end() in (1, 130, -signal.SIGINT)
            assert b"KeyboardInterrupt" in terminal.output
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("wait", [PseudoTerminal.end, lambda terminal: terminal.wait_until(lambda: False)])
def test_what_was_written_last_is_read_however_late(wait: Callable[[PseudoTerminal], object]) -> None:
    """On a busy machine a program has ended before anybody looks."""
    with PseudoTerminal([sys.executable, "-c", "print('last words')"], os.environ, 60) as terminal:
        os.waitid(os.P_PID, terminal._process.pid, os.WEXITED | os.WNOWAIT)
        wait(terminal)
        assert b"last words" in terminal.output


def test_a_terminal_says_when_its_program_has_ended_or_takes_too_long() -> None:
    """A wait never goes on for ever."""
    with PseudoTerminal([sys.executable, "-c", "print('done')"], os.environ, 60) as terminal:
        assert not terminal.wait_until(lambda: False)
    with PseudoTerminal(SLEEP, os.environ, 0) as terminal, pytest.raises(TimeoutError):
        terminal.end()
