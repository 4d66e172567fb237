"""A disk that takes no more."""

import errno
from threading import Event as StopEvent
from typing import Any

from engine.analysis.summary import summarise
from engine.errors import UserError
from engine.project import Project
from engine.training.checkpoint import load_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.events import CheckpointSaved, Event, Finished, Paused, Started
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.campaigns.common import outcome
from tests.support.moments import inside_validation, step_done
from tests.support.tiny import RUN, metrics_rows, train

import pytest


def full_disk(*_args: Any, **_kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "name",
    [
        "mlx.core.save_safetensors",
        "engine.training.checkpoint.write_json",
        "engine.training.checkpoint.sync",
        "engine.training.retention.discard",
        "engine.training.best_adapter.save_adapter",
        "engine.training.state.write_json",
        "engine.training.metrics.MetricsWriter.write",
    ],
)
def test_a_full_disk_ends_the_run_with_advice_and_keeps_what_is_there(
    project: Project, finished: tuple[Project, list[Event]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One sentence, no half checkpoint, and the run goes on later."""
    with pytest.raises(UserError, match="No space left") as failed:
        for event in Trainer(project, RUN, StopEvent()).run():
            if isinstance(event, CheckpointSaved) and event.step == 3:
                monkeypatch.setattr(name, full_disk)
    assert "disk space" in failed.value.fix
    monkeypatch.undo()
    assert not list(project.run_dir.rglob(".partial-*"))
    newest = checkpoint_folders(project.run_dir)[0]
    assert load_checkpoint(newest) and load_checkpoint(project.run_dir / "checkpoint_epoch0_step3")
    events = train(project, None)
    assert next(event for event in events if isinstance(event, Started)).step == checkpoint_step(newest)
    assert outcome(project) == outcome(finished[0])


@pytest.mark.parametrize("name", ["run_folder.archive_run", "metrics.write_atomic"])
def test_a_full_disk_before_the_first_step_is_reported_too(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing has been written then that could be lost."""
    monkeypatch.setattr(f"engine.training.{name}", full_disk)
    with pytest.raises(UserError, match="No space left"):
        train(project)
    monkeypatch.undo()
    assert isinstance(train(project)[-1], Finished)


def test_a_pause_that_cannot_be_saved_is_no_pause(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends as a failure, from the checkpoint before."""
    stop, events = StopEvent(), []
    with pytest.raises(UserError, match="No space left"):
        for event in Trainer(project, RUN, stop).run():
            events.append(event)
            if step_done(5)(event):
                monkeypatch.setattr("mlx.core.save_safetensors", full_disk)
                stop.set()
    assert not any(isinstance(event, Paused) for event in events)
    state = RunState.load(project.state_file)
    assert state is not None and (state.status, state.step) == ("failed", 5)


@pytest.mark.parametrize(
    ("failing", "step"),
    [
        ("", 4),
        ("mlx.core.save_safetensors", 4),
        ("engine.training.metrics.MetricsWriter.write", 3),
        ("engine.training.recorder.save_checkpoint", 4),
    ],
)
def test_files_agree_where_a_validation_was_cut_short(
    project: Project,
    finished: tuple[Project, list[Event]],
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    step: int,
) -> None:
    """By a pause, and by a disk that is full at that moment: state, metrics and report are of one step."""
    stop, is_inside = StopEvent(), inside_validation(2)
    try:
        for event in Trainer(project, RUN, stop).run():
            if is_inside(event):
                state = RunState.load(project.state_file)
                assert state and (state.step, state.unvalidated) == (len(metrics_rows(project)), 4)
                if failing:
                    monkeypatch.setattr(failing, full_disk)
                stop.set()
    except UserError as error:
        assert "No space left" in str(error)
    monkeypatch.undo()
    state, summary = RunState.load(project.state_file), summarise(project)
    assert state and (state.status, state.step) == ("failed" if failing else "paused", step)
    assert [row["step"] for row in metrics_rows(project)] == [*range(1, step + 1)]
    assert (summary.steps, summary.failed_validations) == (step, 0)
    newest = checkpoint_step(checkpoint_folders(project.run_dir)[0])
    assert newest == (3 if failing else 4)
    train(project, None)
    assert outcome(project) == outcome(finished[0])
