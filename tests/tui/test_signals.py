"""Signals: the run is saved before the process ends, whatever the terminal does."""

import os
import pty
import signal
import sys
import threading
from collections.abc import Callable

from tui.signals import SignalExit

import pytest


class Engine:
    """A thread's two events."""

    def __init__(self) -> None:
        self.stop_event = threading.Event()
        self.idle = threading.Event()


class Recorder:
    """Writes down what happens, in order."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.happened: list[object] = []
        self.ended = threading.Event()
        self.exit = SignalExit(self.engine, self.note("leave"), self.happened.append, self._end)

    def note(self, word: str) -> Callable[[], None]:
        """Return a function that writes down `word`."""
        return lambda: self.happened.append(word)

    def _end(self, status: int) -> None:
        self.happened.append(("end", status))
        self.ended.set()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the app no time to close."""
    monkeypatch.setattr("tui.signals.CLOSE_LIMIT_S", 0.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_for_the_pause_and_ends_only_when_saved(number: int) -> None:
    """The engine is asked to stop and the app to leave; the end waits for the checkpoint."""
    recorder = Recorder()
    recorder.exit.handle(number)
    assert recorder.engine.stop_event.is_set()
    assert recorder.happened == ["leave"]
    recorder.engine.idle.set()
    assert recorder.ended.wait(10)
    assert recorder.happened == ["leave", number, ("end", 128 + number)]
    assert recorder.exit.received == number


def test_a_second_signal_changes_nothing() -> None:
    """SIGHUP and SIGTERM often come together; the first counts."""
    recorder = Recorder()
    recorder.exit.handle(signal.SIGHUP)
    recorder.exit.handle(signal.SIGTERM)
    recorder.engine.idle.set()
    assert recorder.ended.wait(10)
    assert recorder.happened == ["leave", signal.SIGHUP, ("end", 128 + signal.SIGHUP)]


def test_a_checkpoint_that_takes_forever_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the limit the process ends, and nothing is said to be saved."""
    monkeypatch.setattr("tui.signals.SAVE_LIMIT_S", 0.0)
    recorder = Recorder()
    recorder.exit.handle(signal.SIGTERM)
    assert recorder.ended.wait(10)
    assert set(recorder.happened) == {"leave", ("end", 128 + signal.SIGTERM)}


def test_sigint_pauses_a_run_and_leaves_without_one() -> None:
    """A viewer in another terminal pauses the run with SIGINT; the app stays open for it."""
    recorder = Recorder()
    recorder.exit.handle_interrupt(signal.SIGINT)
    assert recorder.engine.stop_event.is_set() and recorder.happened == []
    recorder.engine.idle.set()
    recorder.exit.handle_interrupt(signal.SIGINT)
    assert recorder.happened == ["leave"]


PROGRAM = """
import sys
from pathlib import Path
from engine.project import Project
from tui.run import run_app
sys.exit(run_app(Project(Path(sys.argv[1]))))
"""


def test_sigterm_restores_the_terminal(tmp_path: object) -> None:
    """In a real terminal SIGTERM leaves the alternate screen and ends with 128 + 15."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(tmp_path)])
    output = _read_until(terminal, b"Hardware")
    os.kill(pid, signal.SIGTERM)
    output += _read_until(terminal, b"\x1b[?1049l")
    _pid, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGTERM


def _read_until(terminal: int, mark: bytes) -> bytes:
    seen = b""
    while mark not in seen:
        seen += os.read(terminal, 65536)
    return seen
