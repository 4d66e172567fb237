"""The parent process: children that abort, are killed, hang, or lose their supervisor."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.app_on_pty import wait_until
from tui.launch import wants_supervisor
from tui.respawn import peek
from tui.supervisor.death import Death
from tui.supervisor.parent import keep_running, supervise
from tui.supervisor.stall import LEAST_VARIABLE, least_silence
from tui.terminal.signals import PAUSING

import psutil
import pytest

ROOT = Path(__file__).parents[2]
NATIVE = (
    "from tui.supervisor.child import keep_native_messages; keep_native_messages();"
    "import os, signal, sys, time;"
)
# Gives three signs of life and a fourth, then does what the argument says.
TRAINS = (
    NATIVE
    + """
import json, pathlib
run = pathlib.Path(os.environ["RUN"]); run.mkdir(exist_ok=True)
for step in range(6):
    state = {"status": "running", "pid": os.getpid(), "step": step}
    (run / "training_state.json").write_text(json.dumps(state))
    time.sleep(0.05)
def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
exec(sys.argv[1])
"""
)


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    return pid in psutil.pids() and bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def keep(directory: Path, code: str, *arguments: str, again: list[list[str] | None] | None = None) -> tuple[
    int, list[Death]
]:  # fmt: skip
    """Supervise a child that runs `code`; return the exit code and the deaths that were told."""
    deaths: list[Death] = []
    answers = again or []

    def decide(death: Death) -> list[str] | None:
        deaths.append(death)
        return answers.pop(0) if answers else None

    os.environ["RUN"] = str(directory / "checkpoints_qlora")
    least = least_silence()
    assert least is not None
    command = [sys.executable, "-c", code]
    return keep_running(command, list(arguments), directory, decide, least), deaths


@pytest.fixture(autouse=True)
def from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin where the program is; a supervisor never gives its signals back, and this process goes on."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("RUN", "")
    before = {number: signal.getsignal(number) for number in PAUSING}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_an_exit_code_is_passed_on(tmp_path: Path, code: int) -> None:
    """An end that the child chose itself is no death."""
    assert keep(tmp_path, f"raise SystemExit({code})") == (code, [])


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV])
def test_a_death_is_reported_with_its_last_words(tmp_path: Path, number: int) -> None:
    """Native messages are kept from the screen; without a new start the exit code names the signal."""
    code = NATIVE + f"os.write(2, b'malloc failed'); os.kill(os.getpid(), {number:d})"
    result, deaths = keep(tmp_path, code)
    assert result == 128 + number
    assert [death.signal for death in deaths] == [number]
    assert "malloc failed" in deaths[0].messages and deaths[0].stalled_s is None


def test_pythons_own_error_stream_stays_on_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Refusals are seen at once; what C++ code writes is not mixed in."""
    keep(tmp_path, NATIVE + "print('refused', file=sys.stderr); os.write(2, b'noise')")
    assert capfd.readouterr().err == "refused\n"


def test_it_starts_again_with_the_arguments_decided_on(tmp_path: Path) -> None:
    """As often as wanted; the last end counts."""
    code = "import os, sys; os.abort() if sys.argv[1] == 'a' else sys.exit(int(sys.argv[1]))"
    assert keep(tmp_path, code, "a", again=[["a"], ["7"]])[0] == 7


SUPERVISOR = """
import sys
from collections.abc import Iterator
from pathlib import Path
from tui.supervisor.parent import keep_running
sys.exit(keep_running([sys.executable, "-c", sys.argv[1]], [], Path(sys.argv[2]), lambda death: None, 300.0))
"""
# Fetched, not handled: a handler of Python's would wait for the end of a sleep that has just begun.
HANDLES = (
    """
import signal
numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
"""
    + NATIVE
    + """
print(os.getpid(), flush=True)
number = int(signal.sigwait(numbers))
print("got", number, flush=True); sys.exit(128 + number)
"""
)


def supervised(tmp_path: Path, supervisor: str = SUPERVISOR) -> tuple["subprocess.Popen[str]", int]:
    """Start a supervisor in a process of its own; return it and the pid of its child."""
    command = [sys.executable, "-c", supervisor, HANDLES, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_forwarded(tmp_path: Path, number: signal.Signals) -> None:
    """The child decides what they mean, and its exit code is the supervisor's."""
    process, _child = supervised(tmp_path)
    process.send_signal(number)
    assert process.communicate(timeout=30)[0] == f"got {number:d}\n"
    assert process.returncode == 128 + number


def test_a_signal_is_forwarded_while_the_main_thread_runs_no_handler(tmp_path: Path) -> None:
    """As when it comes just before the wait for the child begins: here the thread that waits gets none."""
    deaf = SUPERVISOR.replace(
        "sys.exit(",
        """
import signal, subprocess
wait = subprocess.Popen.wait
def deafly(child, *arguments):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    return wait(child, *arguments)
subprocess.Popen.wait = deafly
sys.exit(""",
    )
    process, _child = supervised(tmp_path, deaf)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == f"got {signal.SIGTERM:d}\n"


def test_a_program_told_to_end_is_not_started_again(tmp_path: Path) -> None:
    """Also if it crashes on its way out; the exit code is that of the crash: nothing says it was saved."""
    code = HANDLES.replace("sys.exit(128 + number)", "os.abort()")
    source = SUPERVISOR.replace(
        "lambda death: None", "lambda death: None if death.stop_signal else ['again']"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source, code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == f"got {signal.SIGTERM:d}\n"
    assert process.returncode == 128 + signal.SIGABRT


def test_a_child_without_its_supervisor_leaves_as_if_the_terminal_were_lost(tmp_path: Path) -> None:
    """Nobody is left to put the terminal right."""
    process, child = supervised(tmp_path)
    process.kill()
    assert process.communicate(timeout=30)[0] == f"got {signal.SIGHUP:d}\n"
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], timeout=30)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a stall what is otherwise a moment: 0.6 s without a sign of life."""
    monkeypatch.setenv(LEAST_VARIABLE, "0.6")


@pytest.mark.usefixtures("impatient")
def test_a_run_that_hangs_is_ended_with_the_stacks_of_its_threads(tmp_path: Path) -> None:
    """Silence of many times the usual, and no computing: that is a stall."""
    result, deaths = keep(tmp_path, TRAINS, "time.sleep(600)")
    assert result == 128 + signal.SIGKILL
    assert deaths[0].stalled_s is not None and deaths[0].stalled_s > 0.6
    assert "most recent call first" in deaths[0].messages


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "busy", ["compute(3)", pytest.param("os.kill(os.getpid(), signal.SIGSTOP)", marks=pytest.mark.slow)]
)
def test_a_slow_or_a_stopped_run_is_left_alone(tmp_path: Path, busy: str) -> None:
    """One computes a step of many times the usual length; the other was stopped by a person."""
    run = tmp_path / "checkpoints_qlora"
    if "SIGSTOP" in busy:
        waker = f"import os, sys, time; time.sleep(3); os.kill(int(sys.argv[1]), {signal.SIGCONT:d})"
        start = f"subprocess.Popen([sys.executable, '-c', {waker!r}, str(os.getpid())])"
        busy = f"import subprocess; {start}; {busy}"
    assert keep(tmp_path, TRAINS, busy) == (0, [])
    assert json.loads((run / "training_state.json").read_text())["step"] == 5


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.skipif(sys.platform != "linux", reason="threads are looked at one by one on Linux alone")
def test_a_run_that_gets_no_core_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under nice, or beside many other programs, it wants to compute and cannot: that is no stall."""
    monkeypatch.setattr("tui.supervisor.stall.BUSY_SHARE", 1000.0)  # however much it gets, it is not enough
    assert keep(tmp_path, TRAINS, "compute(3)") == (0, [])
    result, deaths = keep(tmp_path, TRAINS, "time.sleep(600)")
    assert result == 128 + signal.SIGKILL and deaths[0].stalled_s


HELD = (
    NATIVE
    + """
import ctypes, subprocess
from tui.supervisor.child import beat
other = subprocess.Popen(["sleep", "600"])
print(other.pid, file=open(os.environ["RUN"], "w"), flush=True)
hold = ctypes.PyDLL(None).sleep  # no other thread of Python's runs meanwhile; signals end it
exec(sys.argv[1])
other.kill()
"""
)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_lets_no_thread_run_is_ended_with_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that waits for ever holds the interpreter's lock: nobody inside can end it."""
    monkeypatch.setattr("tui.supervisor.stall.BEATLESS_S", 0.5)
    result, deaths = keep(tmp_path, HELD, "beat()\nwhile True: hold(600)")
    assert result == 128 + signal.SIGKILL
    assert deaths[0].stalled_s is not None and deaths[0].stalled_s > 0.5
    assert "most recent call first" in deaths[0].messages
    other = int((tmp_path / "checkpoints_qlora").read_text())
    wait_until(lambda: not is_alive(other))  # it was sent the signal; dying takes it a moment
    assert keep(tmp_path, HELD, "beat(); beat(is_over=True); beat(); hold(2)") == (0, [])


@pytest.mark.usefixtures("impatient")
def test_a_process_that_does_not_train_is_not_watched(tmp_path: Path) -> None:
    """An app in which nobody trains may be silent for as long as it likes."""
    began = time.monotonic()
    assert keep(tmp_path, "import time; time.sleep(2.5)") == (0, [])
    assert time.monotonic() - began >= 2.5


@pytest.mark.parametrize("value", ["5m", "0", "-1", "inf", "nan"])
def test_a_nonsensical_limit_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], value: str
) -> None:
    """Before anything is started."""
    monkeypatch.setenv(LEAST_VARIABLE, value)
    assert supervise(["train"], tmp_path) == 1
    assert capfd.readouterr().err.startswith(f"{LEAST_VARIABLE} is not a number of seconds")


def test_nothing_of_ours_is_imported_before_ctrl_c_is_heard() -> None:
    """Else it ends what is imported with Python's own words."""
    code = (
        "import sys, tui.launch;"
        "print(*(name for name in sys.modules if name.split('.')[0] in ('engine', 'tui')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "tui tui.launch\n"


def test_closed_standard_streams_are_replaced_by_empty_ones(tmp_path: Path) -> None:
    """Else the next file that is opened would get their numbers, and what libraries print."""
    code = (
        "import os; [os.close(n) for n in (0, 2)]; from tui.launch import open_standard_streams;"
        "open_standard_streams(); f = open(os.devnull); same = os.fstat(2).st_rdev == os.fstat(0).st_rdev;"
        "print(f.fileno() > 2, same)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"


@pytest.mark.parametrize(
    ("arguments", "directory", "command"),
    [
        ([], ".", None),
        (["-C", "x"], "x", None),
        (["-C", "x", "train", "-C"], "x", "train"),
        (["--directory=a b", "--go-on"], "a b", None),
        (["-Cx", "check"], "x", "check"),
        (["-C"], ".", None),
    ],
)
def test_the_command_line_is_read_like_typer_reads_it(
    arguments: list[str], directory: str, command: str | None
) -> None:
    """Directory and command are known before anything heavy is imported."""
    assert peek(arguments) == (Path(directory), command)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], True),
        (["train", "--profile", "SAFE"], True),
        (["train", "--background"], False),
        (["train", "--help"], False),
        (["check"], False),
        (["-h"], False),
    ],
)
def test_only_what_may_crash_is_supervised(arguments: list[str], wanted: bool) -> None:
    """Questions are answered without a second process."""
    assert wants_supervisor(arguments, peek(arguments)[1]) is wanted
