"""A disk that takes no more."""

import errno
from threading import Event as StopEvent
from typing import Any

from campaigns.common import outcome
from engine.errors import UserError
from engine.project import Project
from engine.training.checkpoint import checkpoint_folders, checkpoint_step, load_checkpoint
from engine.training.events import CheckpointSaved, Event, Finished, Paused, Started
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.engine.moments import step_done
from tests.tiny import RUN, train

import pytest


def full_disk(*_args: Any, **_kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "name",
    [
        "mlx.core.save_safetensors",
        "engine.training.checkpoint.write_json",
        "engine.training.checkpoint.sync",
        "engine.training.ownership.discard",
        "engine.training.recorder.save_adapter",
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


@pytest.mark.parametrize("name", ["claim.archive_run", "metrics.write_atomic"])
def test_a_full_disk_before_the_first_step_is_told_too(
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
