"""Signals: the run is saved before the process ends, whatever the terminal does."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from tui.terminal.signal_exit import SignalExit
from tui.terminal.signals import leaving_signals, pausing_signals

import pytest


class Engine:
    """A thread's events."""

    def __init__(self) -> None:
        self.stop_event = threading.Event()
        self.idle = threading.Event()
        self.leavable = threading.Event()


class Recorder:
    """Writes down what happens, in order."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.happened: list[object] = []
        self.ended = threading.Event()
        self.exit = SignalExit(self.engine, self.note("leave"), self.happened.append, self.end)

    def note(self, word: str) -> Callable[[], None]:
        """Return a function that writes down `word`."""
        return lambda: self.happened.append(word)

    def end(self, status: int) -> None:
        self.happened.append(("end", status))
        self.ended.set()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the app no time to close."""
    monkeypatch.setattr("tui.terminal.signal_exit.CLOSE_LIMIT_S", 0.0)


def test_ctrl_c_in_another_program_is_not_for_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the copy of it that comes when the terminal is the app's again."""
    monkeypatch.setattr("tui.terminal.signal_exit._COPY_LIMIT_S", 600.0)
    recorder = Recorder()
    recorder.engine.idle.set()
    recorder.engine.leavable.set()
    recorder.exit.lend_terminal(True)
    recorder.exit.handle(signal.SIGINT)
    recorder.exit.lend_terminal(False)
    recorder.exit.handle(signal.SIGINT)
    recorder.exit.handle(signal.SIGTERM)
    assert recorder.ended.wait(10)
    assert recorder.happened == ["leave", signal.SIGTERM, ("end", 128 + signal.SIGTERM)]


def test_ctrl_c_leaves_an_idle_app_once_the_copy_cannot_come_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also after another program had the terminal."""
    monkeypatch.setattr("tui.terminal.signal_exit._COPY_LIMIT_S", 0.0)
    left = threading.Event()
    leaving = SignalExit((engine := Engine()), left.set, lambda _number: None, lambda _code: None)
    engine.idle.set()
    leaving.lend_terminal(True)
    leaving.handle(signal.SIGINT)
    leaving.lend_terminal(False)
    leaving.handle(signal.SIGINT)
    assert left.wait(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_for_the_pause_and_ends_only_when_saved(number: int) -> None:
    """The app is asked to leave, then the engine to stop; the end waits for the checkpoint."""
    recorder = Recorder()
    recorder.exit.handle(number)
    assert recorder.engine.stop_event.wait(10)
    assert recorder.happened == ["leave"]
    recorder.engine.leavable.set()
    assert recorder.ended.wait(10)
    assert recorder.happened == ["leave", number, ("end", 128 + number)]
    assert recorder.exit.received == number and recorder.exit.settled.is_set()


def test_a_second_signal_changes_nothing() -> None:
    """SIGHUP and SIGTERM often come together; the first counts."""
    recorder = Recorder()
    recorder.exit.handle(signal.SIGHUP)
    recorder.exit.handle(signal.SIGTERM)
    recorder.exit.handle(signal.SIGHUP)
    recorder.engine.leavable.set()
    assert recorder.ended.wait(10)
    assert recorder.happened == ["leave", signal.SIGHUP, ("end", 128 + signal.SIGHUP)]


def test_a_checkpoint_that_takes_forever_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the limit the process ends, and nothing is said to be saved."""
    monkeypatch.setattr("tui.terminal.signal_exit.SAVE_LIMIT_S", 0.0)
    recorder = Recorder()
    recorder.exit.handle(signal.SIGTERM)
    assert recorder.ended.wait(10)
    assert recorder.happened == ["leave", ("end", 128 + signal.SIGTERM)]


def test_a_hand_over_that_fails_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the end is let go, whatever happens after the checkpoint."""
    monkeypatch.setattr("threading.excepthook", lambda _arguments: None)
    recorder = Recorder()

    def fail(_number: int) -> None:
        raise OSError

    leaving = SignalExit(recorder.engine, recorder.note("leave"), fail, recorder.end)
    recorder.engine.leavable.set()
    leaving.handle(signal.SIGHUP)
    assert leaving.settled.wait(10)


def test_sigint_pauses_a_run_and_leaves_without_one() -> None:
    """A viewer in another terminal pauses the run with SIGINT; the app stays open for it."""
    recorder = Recorder()
    recorder.exit.handle(signal.SIGINT)
    assert recorder.engine.stop_event.wait(10) and recorder.happened == []
    recorder.engine.idle.set()
    left = threading.Event()
    leaving = SignalExit(recorder.engine, left.set, recorder.happened.append, recorder.end)
    leaving.handle(signal.SIGINT)
    assert left.wait(10) and recorder.happened == []


@pytest.fixture
def hang_ups() -> Iterator[None]:
    """Put the handler of SIGHUP back after a test."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_signal_that_comes_while_its_lock_is_held_does_no_harm(hang_ups: None) -> None:
    """A handler runs in the middle of anything, here of setting the event that it has to set."""
    with pausing_signals() as (stop, received):
        with vars(stop)["_cond"]:  # what `Event.set` holds
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.wait(10)
    assert received[0] == signal.SIGHUP


def test_hang_ups_stay_ignored_where_they_were(hang_ups: None) -> None:
    """`nohup` is respected; the other signals pause as ever."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with pausing_signals() as (stop, received):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(10)
    assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_with_nothing_to_save_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Work that does not stop is left, with the usual exit code."""
    monkeypatch.setattr("tui.terminal.signals.LEAVE_LIMIT_S", 0.0)
    ended: SimpleQueue[int] = SimpleQueue()
    with leaving_signals(end=ended.put) as (stop, _received):
        os.kill(os.getpid(), number)
        assert ended.get(timeout=10) == 128 + number
        assert stop.is_set()


def test_a_first_ctrl_c_ends_only_the_work_where_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one leaves."""
    monkeypatch.setattr("tui.terminal.signals.LEAVE_LIMIT_S", 0.0)
    ended: SimpleQueue[list[int]] = SimpleQueue()
    with leaving_signals(can_go_on=True, end=lambda _code: ended.put(list(received))) as (stop, received):
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        assert ended.get(timeout=10) == [signal.SIGINT, signal.SIGINT]


CALLING = """
import ctypes, os, signal
from tui.terminal.signals import leaving_signals
with leaving_signals() as (stop, received):
    ctypes.CDLL(None).system(b"kill -INT $PPID")
    print(stop.wait(10), received == [signal.SIGINT], flush=True)
    stop.clear()
    stop.wait(10)
"""


def test_ctrl_c_is_heard_while_a_program_is_called() -> None:
    """C's `system()`, with which MLX calls its compiler, ignores SIGINT until the program has ended."""
    done = subprocess.run([sys.executable, "-c", CALLING], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True"] and done.returncode == 128 + signal.SIGINT, done.stderr


TIDYING = """
import sys
from tui.terminal.signals import PAUSING, clean_up_on_signals
clean_up_on_signals(PAUSING)
try:
    print("working", flush=True)
    sys.stdin.readline()
finally:
    print("tidying", flush=True)
    sys.stdin.readline()
    print("tidy", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_end_the_tidying_up(number: signal.Signals) -> None:
    """What the first one began is seen through, and the exit code is the first one's."""
    command = [sys.executable, "-c", TIDYING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == "working\n"
        process.send_signal(number)
        assert process.stdout.readline() == "tidying\n"
        process.send_signal(signal.SIGINT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.read() == "tidy\n"
    assert process.returncode == 128 + number


def test_tidying_up_that_does_not_end_can_be_left() -> None:
    """One more signal ends it, once it has had its time."""
    at_once = "import tui.terminal.signals\ntui.terminal.signals.TIDY_LIMIT_S = 0.0\n"
    command = [sys.executable, "-c", at_once + TIDYING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "tidying\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 128 + signal.SIGINT


def test_handlers_and_pipes_are_given_back() -> None:
    """What had the signals before has them again, and nothing stays open."""
    before = signal.getsignal(signal.SIGTERM)
    files = os.listdir("/dev/fd")
    with pausing_signals(keep=True) as (_stop, received):
        assert signal.getsignal(signal.SIGTERM) is not before
        os.kill(os.getpid(), signal.SIGTERM)
    assert received == [signal.SIGTERM], "what came last still counts"
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert os.listdir("/dev/fd") == files


PROGRAM = """
import sys
from pathlib import Path
from engine.project import Project
from tui.app.run import run_app
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
