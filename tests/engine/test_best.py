"""The best adapter: which validation decides, what is kept, and what ends a run early."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event as StopEvent

from engine.project import Project
from engine.training.checkpoint import load_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.events import CheckpointSaved, Evaluated, Finished, Notice, Started
from engine.training.trainer import Trainer
from tests.support.moments import step_done
from tests.support.scripted_losses import scripted
from tests.support.tiny import RUN, files_below, metrics_rows, train

import pytest


@pytest.mark.parametrize(("keep", "kept"), [(1, [12, 4]), (2, [12, 10, 4]), (9, [12, 10, 8, 6, 4, 2, 0])])
def test_the_newest_checkpoints_and_the_best_are_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch, keep: int, kept: list[int]
) -> None:
    """A lower validation loss makes a checkpoint stay, however old."""
    scripted(monkeypatch, [9.0, 3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    end = train(project, RUN.updated({"eval_every": 2, "save_every": 2, "keep_checkpoints": keep}))[-1]
    assert isinstance(end, Finished) and (end.best_step, end.best_val_loss) == (4, 1.0)
    assert [checkpoint_step(folder) for folder in checkpoint_folders(project.run_dir)] == kept
    best = project.run_dir / "checkpoint_epoch0_step4" / "adapters.safetensors"
    assert (project.adapters_dir / "adapters.safetensors").read_bytes() == best.read_bytes()


@pytest.mark.parametrize(
    ("losses", "step", "reason"),
    [
        ([9.0, 3.0, 4.0, 3.0], 6, "early_stopping"),
        ([9.0, 3.0, 4.0, 2.0, 5.0, math.nan], 10, "early_stopping"),
        ([1.0, 6.0, 7.0, 5.0, 6.0, 4.0, 5.0], 12, "completed"),
        ([1.0, 0.0, 0.0, 0.0], 6, "early_stopping"),
    ],
)
def test_a_run_ends_when_validations_stop_improving(
    project: Project, monkeypatch: pytest.MonkeyPatch, losses: list[float], step: int, reason: str
) -> None:
    """Two validations without a new best; the first score, before training, is no best."""
    scripted(monkeypatch, losses)
    config = RUN.updated({"eval_every": 2, "save_every": 0, "early_stopping_patience": 2})
    end = train(project, config)[-1]
    assert isinstance(end, Finished) and (end.step, end.reason) == (step, reason)
    assert load_checkpoint(checkpoint_folders(project.run_dir)[0]) is not None
    assert checkpoint_step(checkpoint_folders(project.run_dir)[0]) == step


def test_a_run_killed_just_before_it_ends_early_makes_no_further_step(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience that ran out before the last checkpoint has run out after it."""
    scripted(monkeypatch, [9.0, 3.0, 4.0, 4.0])
    config = RUN.updated({"eval_every": 2, "save_every": 2, "early_stopping_patience": 2})
    run = Trainer(project, config, StopEvent()).run()
    for event in run:
        if isinstance(event, CheckpointSaved) and event.step == 6:
            break
    run.close()
    end = train(project, config)[-1]
    assert isinstance(end, Finished) and (end.step, end.reason) == (6, "early_stopping")
    assert len(metrics_rows(project)) == 6


@pytest.mark.parametrize("name", ["adapters.safetensors", "adapter_config.json"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"x" * 99)])
def test_a_damaged_best_adapter_comes_back_from_its_checkpoint(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, damage: Callable[[Path], None]
) -> None:
    """Also where no checkpoint was due at the best step."""
    scripted(monkeypatch, [9.0, 1.0, 2.0, 2.0, 2.0])
    config = RUN.updated({"save_every": 0})
    train(project, config, until=step_done(7))
    kept = files_below(project.adapters_dir)
    damage(project.adapters_dir / name)
    train(project, config, until=step_done(8))
    assert files_below(project.adapters_dir) == kept


def test_a_best_adapter_that_is_gone_for_good_is_reported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of the validations to come takes its place."""
    scripted(monkeypatch, [9.0, 1.0, 4.0, 3.0, 2.0])
    train(project, until=step_done(7))
    shutil.rmtree(project.adapters_dir)
    shutil.rmtree(project.run_dir / "checkpoint_epoch0_step4")
    events = train(project)
    assert any("best adapter so far is gone" in e.message for e in events if isinstance(e, Notice))
    end = events[-1]
    assert isinstance(end, Finished) and (end.best_step, end.best_val_loss) == (12, 2.0)
    assert project.adapter_file.is_file()


def test_a_killed_run_does_not_keep_a_best_that_is_yet_to_come(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter of step 8 was written, its checkpoint was not: the best is that of step 4 again."""
    scripted(monkeypatch, [9.0, 2.0, 3.0, 1.0])
    run = Trainer(project, RUN.updated({"save_every": 0}), StopEvent()).run()
    for event in run:
        if isinstance(event, Evaluated) and event.step == 8:
            break
    run.close()
    best = project.run_dir / "checkpoint_epoch0_step4" / "adapters.safetensors"
    assert project.adapter_file.read_bytes() != best.read_bytes()
    train(project, None, until=lambda event: isinstance(event, Started))
    assert project.adapter_file.read_bytes() == best.read_bytes()
