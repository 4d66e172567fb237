"""Taking the run's folder: the archive, the room on the disk, and what is in the way."""

import shutil
from collections import namedtuple
from datetime import datetime
from pathlib import Path

from engine.backend import mx
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training import retention as ownership
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import Event, Notice, StepDone
from engine.training.run_folder import archive_run, require_space
from engine.training.state import RunState
from tests.campaigns.common import outcome
from tests.support.moments import step_done
from tests.support.tiny import RUN, files_below, metrics_rows, train

import pytest

SHORT = RUN.updated({"num_epochs": 1})
Usage = namedtuple("Usage", "total used free")


def test_a_restart_keeps_every_file_of_the_old_run(project: Project) -> None:
    """All of it moves to the archive, the configuration included; log, lock and archive stay."""
    train(project, SHORT)
    project.log_file.write_text("log")
    (project.run_dir / "chart_loss_by_step_1-3-2.png").write_bytes(b"saved from the app")
    before = files_below(project.run_dir)
    train(project, SHORT.updated({"seed": 9}), "restart", until=step_done(1))
    (archived,) = (project.run_dir / "archive").iterdir()
    stay = (".lock", "training.log")
    assert {k: v for k, v in before.items() if k not in stay} == files_below(archived)
    assert TrainingConfig.load(project.config_file).seed == 9
    assert [row["step"] for row in metrics_rows(project)] == [1]
    assert project.log_file.read_text() == "log"


def test_the_archived_configuration_is_that_of_the_checkpoints(project: Project) -> None:
    """The file in the run's folder may already be the next run's."""
    train(project, SHORT, until=step_done(1))
    SHORT.updated({"seed": 77}).save(project.config_file)
    archive_run(project)
    (archived,) = (project.run_dir / "archive").iterdir()
    assert TrainingConfig.load(archived / "config_selected.json") == SHORT


def test_archives_do_not_collide_when_the_clock_is_set_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when it tells the same microsecond again and again."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Stopped":
            return cls(2026, 10, 25, 1, 30)

    monkeypatch.setattr(ownership, "datetime", Stopped)
    for _number in range(3):
        train(project, SHORT, "restart", until=step_done(1))
    archived = list((project.run_dir / "archive").iterdir())
    assert len(archived) == 2
    assert all((folder / "training_metrics.json").stat().st_size for folder in archived)


def test_an_archive_that_is_cut_short_leaves_a_run_that_goes_on(
    project: Project, finished: tuple[Project, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old checkpoints went first; from the newest the run ends in the same bytes."""
    train(project, RUN, until=step_done(7))
    rename, moved = Path.rename, []

    def fails_the_third_time(path: Path, target: Path) -> Path:
        moved.append(path)
        if len(moved) > 2:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails_the_third_time)
    with pytest.raises(UserError, match="No space left"):
        train(project, RUN.updated({"seed": 9}), "restart")
    monkeypatch.undo()
    train(project, None)
    assert outcome(project) == outcome(finished[0])


def test_what_is_left_of_an_archived_run_is_not_written_over(project: Project) -> None:
    """Its metrics are archived as well when a new run begins without asking for a restart."""
    train(project, SHORT, until=step_done(2))
    for folder in checkpoint_folders(project.run_dir):
        shutil.rmtree(folder)
    rows = project.metrics_file.read_bytes()
    train(project, SHORT, until=step_done(1))
    (archived,) = (project.run_dir / "archive").iterdir()
    assert (archived / "training_metrics.json").read_bytes() == rows


def test_a_run_without_a_checkpoint_leaves_no_archive(project: Project) -> None:
    """Killed in its first validation, it has nothing to keep."""
    project.run_dir.mkdir()
    project.metrics_file.touch()
    RunState("running", "tiny").save(project.state_file)
    train(project, SHORT, until=step_done(1))
    assert not (project.run_dir / "archive").exists()


# --- room ---


@pytest.mark.parametrize(("free", "is_refused"), [(702_097_151, True), (702_097_152, False)])
def test_room_for_two_checkpoints_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, is_refused: bool
) -> None:
    """An adapter of 100 MB: twice three times that and a MiB each, and the best adapter."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 0, free))
    adapter = mx.zeros((25_000_000,))
    arrays = {"weight": adapter}, {"weight.m": adapter, "weight.v": adapter}
    if not is_refused:
        require_space(tmp_path, *arrays)
        return
    with pytest.raises(UserError, match=r"need 702 MB .* 702 MB are free") as refused:
        require_space(tmp_path, *arrays)
    assert "free some disk space" in refused.value.fix


def test_a_run_without_room_leaves_everything_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before the old run is archived."""
    train(project, SHORT, until=step_done(1))
    before = files_below(project.run_dir)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 0, 1_000_000))
    with pytest.raises(UserError, match=r"need 2\.2 MB .* 1\.0 MB are free"):
        train(project, SHORT, "restart")
    after = files_below(project.run_dir)
    assert {k: v for k, v in after.items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }


# --- in the way ---


@pytest.mark.parametrize(
    "name",
    ["config_selected.json", "training_state.json", "training_metrics.csv", "adapters/adapters.safetensors"],
)
def test_a_folder_in_a_files_place_is_moved_away_and_named(
    project: Project, finished: tuple[Project, list[Event]], name: str
) -> None:
    """No write could replace it; what it holds is kept."""
    train(project, RUN, until=step_done(7))
    path = project.run_dir / name
    path.unlink()
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    events = train(project, RUN)
    assert any(path.name in event.message for event in events if isinstance(event, Notice))
    (kept,) = (project.run_dir / "archive").glob(f"*/{path.name}/notes.txt")
    assert kept.read_text() == "mine"
    assert outcome(project) == outcome(finished[0])


def test_a_file_in_the_adapters_place_is_moved_away(
    project: Project, finished: tuple[Project, list[Event]]
) -> None:
    """The best adapter comes back from its checkpoint."""
    train(project, RUN, until=step_done(7))
    shutil.rmtree(project.adapters_dir)
    project.adapters_dir.write_text("mine")
    assert any(isinstance(event, StepDone) for event in train(project, RUN))
    assert outcome(project) == outcome(finished[0])


def test_nothing_half_written_stays_or_is_archived(project: Project) -> None:
    """Wherever a kill left it: beside the checkpoints, in one of them, beside the adapter."""
    train(project, SHORT)
    newest = checkpoint_folders(project.run_dir)[0]
    (project.run_dir / ".partial-checkpoint_epoch0_step9").mkdir()
    for folder in (newest, project.adapters_dir):
        (folder / ".partial-x").write_text("half")
    train(project, SHORT, "restart")
    assert list(project.run_dir.rglob(".partial-*")) == []
