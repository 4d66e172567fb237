"""`training_state.json` as other processes read it."""

import errno
import json
import os
import socket
from pathlib import Path

from engine.errors import UserError
from engine.i18n.catalogue import path_of, read
from engine.i18n.texts import Message
from engine.project import Project
from engine.training.events import StepMetrics, Usage
from engine.training.failures import cannot_write
from engine.training.lock import run_lock
from engine.training.progress import Progress
from engine.training.state import RunState, StateWriter, Status, reason_of
from tests.support.step_metrics import metrics

import pytest


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    """All fields, the time of the last change aside."""
    usage = Usage(padding=0.0, shapes=2, evaluation=0.5)
    state = RunState("paused", "tiny", step=3, epoch=1, best_val_loss=1.5, reason="why", usage=usage)
    state.save(tmp_path / "state.json")
    loaded = RunState.load(tmp_path / "state.json")
    assert loaded is not None
    assert {**vars(loaded), "updated": ""} == {**vars(state), "updated": ""}
    assert (loaded.pid, loaded.host) == (os.getpid(), socket.gethostname())


def test_why_a_run_failed_is_told_in_the_language_of_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it; files from before say it as they do, and a hostile one is given no room."""
    path = tmp_path / "state.json"

    def failed() -> str:
        error = cannot_write(Path("/x{y}"), OSError(errno.ENOSPC, "No space left"))
        RunState("failed", "tiny", reason=str(error), messages=error.messages).save(path)
        return str(error)

    def read_again() -> str:
        state = RunState.load(path)
        assert state is not None
        return reason_of(state)

    english = failed()
    with monkeypatch.context() as portuguese:
        portuguese.setattr("engine.i18n._catalogue", lambda: read(path_of("pt")))
        assert read_again() == failed() != english
        assert "/x{y}: No space left; liberte espaço" in read_again()
    assert read_again() == english
    assert reason_of(RunState("failed", "tiny", reason="Sem memória")) == "Sem memória"
    for text in ("{text:>999999999}", "{text.__class__}", "{text!r:>9}", "{other}", "{"):
        odd = RunState("failed", "tiny", messages=(Message(text, values={"text": 1}),))
        assert reason_of(odd) == str(UserError(text))


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "null", "[" * 100_000, '{"status": "running"}', '{"x": 1}', "\udcff"]
)
def test_what_is_not_a_state_is_none(tmp_path: Path, content: str | None) -> None:
    """A missing, damaged or foreign file does not stop a reader."""
    path = tmp_path / "state.json"
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert RunState.load(path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"micro_batch_divisor": 0},
        {"micro_batch_divisor": "2"},
        {"step": None},
        {"step": -1},
        {"steps_per_epoch": 10**30},
        {"total_steps": 10**400},
        {"micro_batch_divisor": 10**30},
        {"pid": 1.5},
        {"updated": "2026-13"},
        {"usage": None},
        {"usage": {"shapes": "2"}},
    ],
)
def test_a_state_with_an_impossible_value_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    """One flipped bit is enough for that; a reader would stumble over it."""
    path = tmp_path / "state.json"
    RunState("paused", "tiny").save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert RunState.load(path) is None


def test_a_state_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """What it did not know yet is unknown."""
    path = tmp_path / "state.json"
    RunState("paused", "tiny", step=3).save(path)
    values = json.loads(path.read_text())
    del values["usage"]
    path.write_text(json.dumps(values))
    loaded = RunState.load(path)
    assert loaded is not None and loaded.step == 3 and loaded.usage == Usage(None, 0, None)


def test_a_state_of_a_later_version_is_read(tmp_path: Path) -> None:
    """What it knows besides is left out."""
    path = tmp_path / "state.json"
    RunState("paused", "tiny", step=3).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mood": "good"}))
    found = RunState.load(path)
    assert found is not None and found.step == 3


def test_a_run_is_alive_while_its_lock_is_held(tmp_path: Path) -> None:
    """Neither the pid of a living process nor the status alone makes it so."""
    project = Project(tmp_path)
    project.run_dir.mkdir()

    def is_alive(status: Status) -> bool:
        RunState(status, "tiny").save(project.state_file)
        state = RunState.load(project.state_file)
        assert state is not None and "is_alive" not in json.loads(project.state_file.read_text())
        return state.is_alive

    assert not is_alive("running")
    with run_lock(project):
        assert is_alive("running")
        assert not is_alive("paused")
    assert not is_alive("running")


def test_the_disk_is_asked_seldom_but_never_late_for_what_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps once a second; a checkpoint or a new status at once."""
    clock = [100.0]
    monkeypatch.setattr("engine.training.state.time.monotonic", lambda: clock[0])
    path = tmp_path / "state.json"
    writer = StateWriter(path, RunState("running", "tiny", total_steps=10, steps_per_epoch=5))

    def step_on_disk(step: int, status: Status = "running") -> int:
        writer.write(status, Progress(step=step), step, 0, Usage(shapes=step))
        return int(json.loads(path.read_text())["step"])

    assert step_on_disk(1) == 1
    assert step_on_disk(2) == 1
    clock[0] += 1.0
    assert step_on_disk(3) == 3
    writer.checkpoint = "checkpoint_epoch0_step4"
    assert step_on_disk(4) == 4
    assert json.loads(path.read_text())["last_checkpoint"] == "checkpoint_epoch0_step4"
    assert step_on_disk(5, "paused") == 5
    assert json.loads(path.read_text())["usage"] == {"padding": None, "shapes": 5, "evaluation": None}


@pytest.mark.parametrize("pending", [None, metrics(7)])
def test_progress_survives_json(pending: StepMetrics | None) -> None:
    """A position, with the line of a step that waits for its validation."""
    progress = Progress(step=7, best_step=4, best_val_loss=0.1, pending=pending)
    again = Progress.parse(json.loads(json.dumps(progress.as_dict())))
    assert again == progress
    assert again.lines == (7 if pending is None else 6)
