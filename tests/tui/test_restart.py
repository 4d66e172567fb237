"""What is said and done after a child of the supervisor died."""

import json
from contextlib import nullcontext
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

from engine.project import Project
from engine.training.state import RunState
from tests.support.running_state import PID, running
from tests.support.tiny import owned_by
from tui.supervisor.death import Death
from tui.supervisor.restart import MOST_RESTARTS, RestartPolicy

import pytest

OUT_OF_MEMORY = "what(): [metal::malloc] Attempting to allocate 9 bytes ... out of memory \x1b[2J"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A run that process 4711 was making when it died."""
    project = Project(tmp_path)
    project.run_dir.mkdir()
    running(project, "checkpoint_epoch0_step6")
    return project


def death(signal: int = 9, messages: str = "", stalled_s: float | None = None, stop_signal: int = 0) -> Death:
    return Death(PID, signal, stalled_s, messages, stop_signal)


def unattended(project: Project, *arguments: str) -> RestartPolicy:
    return RestartPolicy(project.root, arguments or ("train",))


def at_terminal(
    project: Project, monkeypatch: pytest.MonkeyPatch, keys: str, *arguments: str
) -> RestartPolicy:
    typed = iter(keys)
    monkeypatch.setattr(
        "tui.supervisor.restart.single_keys", lambda: nullcontext(lambda _seconds: next(typed))
    )
    monkeypatch.setattr("tui.supervisor.restart.is_foreground", lambda: True)
    monkeypatch.setattr("tui.supervisor.restart.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    return RestartPolicy(project.root, arguments)


def test_what_happened_is_said_logged_and_shown_to_later_readers(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence on the screen and in the state; native messages, made harmless, in the log."""
    unattended(project).decide(death(6, OUT_OF_MEMORY))
    said = capsys.readouterr().err
    assert said.startswith("MLX ran out of memory and the process ended (signal 6), at step 7; ")
    assert "checkpoint_epoch0_step6" in said
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "failed" and "ran out of memory" in state.reason
    log = project.log_file.read_text()
    assert "[metal::malloc]" in log and "\x1b" not in log


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (death(9), "was killed (signal 9), as the system does when memory runs out"),
        (death(11), "crashed inside a library (signal 11)"),
        (death(9, stalled_s=400.0), "gave no sign of life for 7 min"),
        (death(6, "terminate called: cudaMalloc"), "ran out of memory"),
    ],
)
def test_the_causes_are_told_apart(
    project: Project, capsys: pytest.CaptureFixture[str], end: Death, words: str
) -> None:
    """Killed from outside, crashed, stalled, out of memory."""
    unattended(project).decide(end)
    assert words in capsys.readouterr().err


def test_unattended_it_goes_on_by_itself_with_less_each_time_and_then_stops(project: Project) -> None:
    """First the same, then half the micro-batch; after three deaths without a new checkpoint no more."""
    policy = unattended(project, "train", "--profile", "SAFE", "--json")
    root = str(project.root)
    expected = [["-C", root, "train", "--resume", "--json"]]
    expected += [["-C", root, "train", "--resume", "--half-micro-batch", "--json"]] * (MOST_RESTARTS - 1)
    for wanted in expected:
        assert policy.decide(death()) == wanted
        running(project, "checkpoint_epoch0_step6")
    assert policy.decide(death()) is None


def test_one_that_dies_before_it_goes_on_is_started_again(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it reads and loads it has written nothing; the run is as safe as before."""
    policy = unattended(project, "train")
    for _death in range(MOST_RESTARTS):
        assert policy.decide(death()) is not None
        assert "the run is safe in checkpoint_epoch0_step6" in capsys.readouterr().err
    assert policy.decide(death()) is None
    assert project.log_file.read_text().count("was killed (signal 9)") == MOST_RESTARTS + 1


def test_a_run_that_failed_before_is_not_gone_on_with(project: Project) -> None:
    """Nobody had asked for it: this program died before it began."""
    unattended(project).decide(death(6))
    assert unattended(project).decide(death()) is None


@pytest.mark.parametrize("world", [["--ranks", "2"], ["--hosts=a.json", "--go-on-with-fewer"]])
def test_the_same_processes_go_on(project: Project, world: list[str]) -> None:
    """Of several that trained together."""
    policy = unattended(project, "train", *world, "--profile", "SAFE")
    assert policy.decide(death()) == ["-C", str(project.root), "train", "--resume", *world]


def test_a_new_checkpoint_is_a_new_chance(project: Project) -> None:
    """A run that gets on is helped as often as it needs."""
    policy = unattended(project)
    for step in range(10):
        running(project, f"checkpoint_epoch0_step{step}")
        assert policy.decide(death()) == ["-C", str(project.root), "train", "--resume"]


def test_lack_of_memory_halves_at_once(project: Project) -> None:
    """There the reason is known."""
    again = unattended(project).decide(death(6, OUT_OF_MEMORY))
    assert again is not None and "--half-micro-batch" in again


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("r", ["--go-on"]),
        ("xyh", ["--go-on", "--half-micro-batch"]),
        ("q", None),
        ("\x03", None),
        ("\x1b", None),
    ],
)
def test_at_a_terminal_it_asks(
    project: Project, monkeypatch: pytest.MonkeyPatch, keys: str, expected: list[str] | None
) -> None:
    """One key goes on in the app, with the micro-batch as it was or half of it; any other waits."""
    again = at_terminal(project, monkeypatch, keys).decide(death())
    assert again == (None if expected is None else ["-C", str(project.root), *expected])


@pytest.mark.parametrize("stop_signal", [SIGINT, SIGTERM, SIGHUP])
def test_a_crash_on_the_way_to_a_pause_is_reported_and_not_undone(
    project: Project, capsys: pytest.CaptureFixture[str], stop_signal: int
) -> None:
    """The checkpoint that was asked for was never saved: nobody may believe it was."""
    assert unattended(project).decide(death(stop_signal=stop_signal)) is None
    assert "was killed (signal 9)" in capsys.readouterr().err
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "failed"


def test_an_app_that_was_once_asked_to_pause_is_still_helped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGINT only pauses its run; a crash hours later is another matter."""
    again = at_terminal(project, monkeypatch, "r").decide(death(stop_signal=SIGINT))
    assert again == ["-C", str(project.root), "--go-on"]
    running(project, "checkpoint_epoch0_step6")
    assert at_terminal(project, monkeypatch, "r").decide(death(stop_signal=SIGTERM)) is None


@pytest.mark.parametrize("number", [1, 2, 3, 13, 15])
def test_an_end_by_request_is_no_crash(
    project: Project, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody sent the signal to a program that was not ready for it yet."""
    assert unattended(project).decide(death(number)) is None
    assert capsys.readouterr().err == ""


def test_a_death_outside_training_is_said_and_not_repeated(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A chat that ran out of memory starts no training; the run of another process is left alone."""
    monkeypatch.setattr("platformdirs.user_log_dir", lambda _name: str(tmp_path / "logs"))
    running(project, "checkpoint_epoch0_step6", pid=99)
    before = project.state_file.read_text()
    assert unattended(project).decide(death(6, OUT_OF_MEMORY)) is None
    assert project.state_file.read_text() == before
    assert "out of memory" in (tmp_path / "logs" / "errors.log").read_text()
    running(project, "checkpoint_epoch0_step6")
    with owned_by(project, 99):
        assert unattended(project).decide(death(6)) is None
    assert json.loads(project.state_file.read_text())["status"] == "running"
    assert "ran out of memory" in capsys.readouterr().err


def test_before_the_first_checkpoint_there_is_nothing_to_go_on_from(project: Project) -> None:
    """It would die again at the same place."""
    running(project, None)
    assert unattended(project).decide(death(6, OUT_OF_MEMORY)) is None
