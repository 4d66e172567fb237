"""The run's folder is moved, renamed, deleted or taken while a run goes on."""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.errors import UserError
from engine.model.adapter import save_adapter
from engine.project import Project
from engine.training import best_adapter
from engine.training.checkpoint import newest_checkpoint
from engine.training.events import Finished, StepDone
from engine.training.lock import lock_owner, run_lock
from engine.training.state import RunState
from engine.training.trainer import Trainer
from tests.support.tiny import RUN, files_below, metrics_rows, owned_by, train

import pytest

Change = Callable[[Project], Project]
"""What is done to the folder; returns the project in which the run is then."""


def project_moved(project: Project) -> Project:
    return Project(project.root.rename(project.root.with_name("moved")))


def project_moved_and_another_made(project: Project) -> Project:
    moved = project_moved(project)
    project.run_dir.mkdir(parents=True)
    project.lock_file.touch()
    return moved


def folder_renamed(project: Project) -> Project:
    project.run_dir.rename(project.root / "old_run")
    return Project(project.root, "old_run")


def folder_moved_away(project: Project) -> Project:
    other = project.root.parent / "other"
    other.mkdir()
    project.run_dir.rename(other / project.run_name)
    return Project(other)


def while_training(project: Project, change: Callable[[], None]) -> UserError:
    """Train; do something to the folder after the fourth step; return what the run ends with."""
    with pytest.raises(UserError) as caught:
        for event in Trainer(project, RUN, StopEvent(), "auto").run():
            if isinstance(event, StepDone) and event.metrics.step == 4:
                change()
    return caught.value


@pytest.mark.parametrize(
    "change",
    [
        project_moved_and_another_made,
        folder_renamed,
        *(pytest.param(change, marks=pytest.mark.slow) for change in (project_moved, folder_moved_away)),
    ],
)
def test_a_run_whose_folder_is_moved_is_saved_there(project: Project, tmp_path: Path, change: Change) -> None:
    """Nothing is made at the old path, nobody else's folder is written to, and the run can go on."""
    straight = Project(tmp_path / "straight")
    shutil.copytree(project.root, straight.root)
    moved: list[Project] = []
    error = while_training(project, lambda: moved.append(change(project)))
    (now,) = moved
    assert str(now.run_dir) in error.problem and "is saved there" in error.problem
    left = files_below(project.run_dir) if project.run_dir.exists() else {}
    assert left in ({}, {".lock": b""})
    assert lock_owner(now) is None
    checkpoint, damaged = newest_checkpoint(now.run_dir)
    state = RunState.load(now.state_file)
    assert checkpoint and not damaged and state
    assert state.status == "paused" and state.step == checkpoint.progress.step >= 4
    if change in (folder_renamed, folder_moved_away):
        shutil.rmtree(project.run_dir, ignore_errors=True)
        now.run_dir.rename(project.run_dir)
        now = project
    assert isinstance(train(now, RUN)[-1], Finished)
    train(straight)
    assert [r["loss"] for r in metrics_rows(now)] == [r["loss"] for r in metrics_rows(straight)]


def test_a_run_whose_folder_is_moved_in_the_midst_of_a_write_is_saved_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write fails for want of a folder, which is not what is told of it."""
    moved: list[Project] = []

    def move_and_save(*arguments: Any) -> None:
        if not moved and project.metrics_file.exists() and len(metrics_rows(project)) >= 3:
            moved.append(folder_renamed(project))
        save_adapter(*arguments)

    monkeypatch.setattr(best_adapter, "save_adapter", move_and_save)
    error = while_training(project, lambda: None)
    (now,) = moved
    assert str(now.run_dir) in error.problem and "is saved there" in error.problem
    state = RunState.load(now.state_file)
    assert state and state.status == "paused" and newest_checkpoint(now.run_dir)[0]


def folder_deleted(project: Project) -> None:
    shutil.rmtree(project.run_dir)


def folder_replaced(project: Project) -> None:
    shutil.rmtree(project.run_dir)
    project.run_dir.mkdir()
    (project.run_dir / "mine.txt").write_text("mine")


@pytest.mark.parametrize("change", [folder_deleted, folder_replaced])
def test_a_run_whose_folder_is_gone_ends(project: Project, change: Callable[[Project], None]) -> None:
    """It says so and writes nothing more: the folder there may be another run's."""
    seen: list[dict[str, bytes]] = []

    def do() -> None:
        change(project)
        seen.append(files_below(project.run_dir))

    error = while_training(project, do)
    assert "deleted or replaced" in error.problem
    after = files_below(project.run_dir)
    names = ("training_metrics.json", "training_metrics.csv")  # open files, which may be appended to
    assert {k: v for k, v in after.items() if k not in names} == {
        k: v for k, v in seen[0].items() if k not in names
    }


@pytest.mark.parametrize("is_new_file", [False, True])
def test_a_deleted_lock_is_made_again(project: Project, is_new_file: bool) -> None:
    """People delete lock files that look stale to them; that costs no step, and lets nobody else in."""
    refused: list[str] = []
    for event in Trainer(project, RUN, StopEvent()).run():
        if isinstance(event, StepDone) and event.metrics.step == 4:
            project.lock_file.unlink()
            if is_new_file:
                project.lock_file.touch()
        if isinstance(event, StepDone) and event.metrics.step == 6:
            with pytest.raises(UserError) as caught, run_lock(project):
                pass
            refused.append(caught.value.problem)
    assert "is training in" in refused[0] and isinstance(event, Finished)


def test_a_run_whose_folder_another_process_took_is_saved_in_the_archive(project: Project) -> None:
    """The other one is not disturbed, and no step is lost."""
    with ExitStack() as other:

        def take_it() -> None:
            project.lock_file.unlink()
            other.enter_context(owned_by(project, os.getppid()))

        error = while_training(project, take_it)
    assert "Another process has taken" in error.problem
    (archived,) = (project.run_dir / "archive").iterdir()
    checkpoint, damaged = newest_checkpoint(archived)
    assert checkpoint and not damaged and checkpoint.progress.step >= 4
    assert str(archived) in error.problem


def test_nobody_gets_into_a_moved_run(project: Project) -> None:
    """Its lock moves along with it."""
    with run_lock(project) as held:
        moved = project_moved(project)
        assert not held.is_in_place and held.found() == moved
        with pytest.raises(UserError, match="is training in"), run_lock(moved):
            pass
