"""`monitor`: what it draws of a run, and what it says at its end."""

import json
import os
import signal

from engine.errors import UserError
from engine.project import Project
from engine.training.history import HistoryReader
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.training.state import RunState, Status
from tests.support.fake_run import USAGE, append, metrics, write_run, write_state
from tests.support.tiny import owned_by
from tui.cli.monitor import watch
from tui.cli.monitor_view import view

import pytest
from rich.console import Console


def drawn(project: Project, hint: str = "") -> str:
    """Return what stands on an 80-column screen."""
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    state, history = RunState.load(project.state_file), HistoryReader(project).poll()
    console.print(view(project, state, history, lock_owner(project), hint))
    return console.export_text()


def test_a_running_run_has_figures_and_a_hint(project: Project) -> None:
    """Name, status, progress, loss, speed, memory, time left and what keys do."""
    write_run(project, "running", 30)
    with owned_by(project, os.getppid()):
        text = drawn(project, "q leaves")
    for part in ("farense", "toy", "running", "step 30/60", "tok/s", "1.26 GB", "left 1 min", "q leaves"):
        assert part in text, part


def test_what_a_running_run_spends_is_drawn(project: Project) -> None:
    """Padding, shapes and validation come from the file, whichever process trains; on one line."""
    write_run(project, "running", 30, usage=USAGE)
    with owned_by(project, os.getppid()):
        assert "padding 25 %   3 batch shapes   validation 12 % of the time" in drawn(project)


def test_nothing_is_said_of_what_is_not_known(project: Project) -> None:
    """A run of an earlier version wrote no such figures."""
    write_run(project, "running", 30)
    text = drawn(project)
    assert "padding" not in text and "shape" not in text and "of the time" not in text


def test_json_tells_what_was_spent_once_for_each_change(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the steps, before the end."""
    write_run(project, "paused", 3, usage=USAGE)
    watch(project, as_json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["step_done"] * 3 + ["usage", "run_state"]
    assert events[3] == {"event": "usage", "step": 3, "padding": 0.25, "shapes": 3, "evaluation": 0.125}


def test_time_left_counts_validations(project: Project) -> None:
    """Where every tenth step waits for a validation of a minute, so does the time left."""
    for step in range(1, 41):
        row = metrics(step)
        append(project, type(row)(**{**vars(row), "elapsed_s": 2.0 * step + 60.0 * (step // 10)}))
    write_state(project, "running", 40)
    with owned_by(project, os.getppid()):
        assert "left 3 min" in drawn(project)  # 20 steps of 2 s and 2 validations of 60 s are 160 s


def test_the_stage_is_named_with_its_share(project: Project) -> None:
    """A validation says how far it is."""
    write_run(project, "running", 30, phase="validating", phase_done=3, phase_total=20)
    with owned_by(project, os.getppid()):
        assert "validating 3/20" in drawn(project)


def test_a_run_that_goes_on_without_a_lost_process_says_so(project: Project) -> None:
    """While it gets ready for that, which may take minutes."""
    write_run(project, "running", 30, reason="mac2 has ended; the run goes on without it")
    with owned_by(project, os.getppid()):
        assert "mac2 has ended; the run goes on without it" in " ".join(drawn(project).split())


def test_a_run_that_is_being_loaded_is_not_called_paused(project: Project) -> None:
    """After a hand-over the files still tell of the pause until the first step."""
    write_run(project, "paused", 30)
    with owned_by(project, os.getppid()):
        assert "getting ready" in drawn(project)
    assert "paused at step 30" in drawn(project)


def test_a_run_that_was_cut_off_is_called_so(project: Project) -> None:
    """Nobody trains and nobody said goodbye; no time left is promised."""
    write_run(project, "running", 30)
    text = drawn(project, "q leaves")
    assert "cut off at step 30" in text and "left" not in text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("paused", "Paused at step 30 of 60, saved"),
        ("finished", "Finished at step 30; see: "),
        ("failed", "failed at step 30 of 60: no \\x1b[2J memory"),
        ("running", "cut off at step 30 of 60"),
    ],
)
def test_the_end_is_said_in_words(
    project: Project, capsys: pytest.CaptureFixture[str], status: Status, said: str
) -> None:
    """Whatever the run came to, the last line says it, harmless to the terminal."""
    write_run(project, status, 30, reason="no \x1b[2J memory")
    watch(project, as_json=False)
    assert said in capsys.readouterr().out


def test_without_a_run_it_refuses(project: Project) -> None:
    """There is nothing to watch, and how to begin is said."""
    with pytest.raises(UserError, match="no run"):
        watch(project, as_json=False)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are typed, in order."""
    typed: list[str] = []

    def next_key(_seconds: float) -> str:
        return typed.pop(0) if typed else ""

    class Keys:
        def __enter__(self) -> object:
            return next_key

        def __exit__(self, *_error: object) -> None:
            pass

    monkeypatch.setattr("tui.cli.monitor.single_keys", Keys)
    return typed


def test_q_leaves_the_run_alone(
    project: Project, capsys: pytest.CaptureFixture[str], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked to pause."""
    asked: list[Owner] = []
    monkeypatch.setattr("tui.cli.monitor.ask_to_pause", lambda _project, owner: asked.append(owner))
    write_run(project, "running", 30)
    keys += ["x", "q"]
    with owned_by(project, os.getppid()):
        watch(project, as_json=False)
    assert asked == [] and "goes on training" in capsys.readouterr().out


def test_ctrl_c_asks_for_a_pause_and_keeps_watching(
    project: Project, capsys: pytest.CaptureFixture[str], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner of the run gets one SIGINT; the view stays until q."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, number: asked.append((pid, number)))
    monkeypatch.setattr("tui.run.other_process.may_train", lambda _process, _lock: True)
    write_run(project, "running", 30)
    keys += ["\x03", "", "\x03", "q"]
    with owned_by(project, os.getppid()):
        watch(project, as_json=False)
    assert asked == [(os.getppid(), signal.SIGINT)]
    assert f"Process {os.getppid()} is asked to pause" in capsys.readouterr().out


def test_a_run_of_another_machine_cannot_be_paused_from_here(
    project: Project, capsys: pytest.CaptureFixture[str], keys: list[str]
) -> None:
    """Its process id means nothing here."""
    write_run(project, "running", 30)
    keys += ["\x03", "q"]
    with owned_by(project, os.getpid(), "elsewhere"):
        watch(project, as_json=False)
    assert "cannot be asked from here: it is of elsewhere" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("as_json", [False, True])
def test_a_run_whose_state_is_damaged_is_not_called_none(project: Project, as_json: bool) -> None:
    """Its other files still tell of it."""
    write_run(project, "paused", 3)
    project.state_file.write_text("{")
    with pytest.raises(UserError, match=r"training_state\.json cannot be read.*mqlora-tui report"):
        watch(project, as_json)


@pytest.mark.parametrize("as_json", [False, True])
def test_metrics_that_are_no_file_are_no_run_without_a_step(project: Project, as_json: bool) -> None:
    """Said as every other command says it, and at once: nothing is waited for."""
    write_run(project, "paused", 3)
    project.metrics_file.unlink()
    os.mkfifo(project.metrics_file)
    with pytest.raises(UserError, match=r"training_metrics\.json is a named pipe; take that away"):
        watch(project, as_json)
