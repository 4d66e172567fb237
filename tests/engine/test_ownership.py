"""What a run may delete or replace: what it wrote itself. What it does not know is refused, never pruned."""

import json
import os
import shutil
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.format import OtherVersions
from engine.project import Project
from engine.training.checkpoint import newest_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.checksums import read_state, sealed
from engine.training.events import Finished, Notice, Resumption
from engine.training.trainer import Trainer
from tests.support.moments import step_done
from tests.support.scripted_losses import scripted
from tests.support.tiny import RUN, files_below, train

import pytest

SHORT = RUN.updated({"num_epochs": 1})


def rewrite(folder: Path, **changes: Any) -> None:
    """Change a checkpoint's state as another version might have written it: its checksum is right."""
    state = read_state(folder)
    assert state is not None
    (folder / "state.json").write_text(json.dumps(sealed({**state, **changes})))


def paused(project: Project) -> Path:
    train(project, SHORT, until=step_done(4))
    return checkpoint_folders(project.run_dir)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 3},
        {"format": "new"},
        {"sampler": {"kind": "other"}},
        {"config": {**SHORT.model_dump(mode="json"), "lora_plus": 2}},
        {"fingerprints": {"data": "d", "model": "m", "template": "t", "loss": "l"}},
        {"progress": {"step": 4, "clock": 1}},
        {"rng": [1, 2, 3]},
    ],
    ids=["later", "no number", "a key more", "a setting more", "a print more", "progress", "random state"],
)
def test_a_checkpoint_of_another_version_is_refused_and_kept(
    project: Project, changes: dict[str, Any]
) -> None:
    """It is not damaged: nothing goes on from an older one, and nothing is deleted."""
    rewrite(paused(project), **changes)
    before = files_below(project.run_dir)
    with pytest.raises(UserError, match="another version wrote it"):
        train(project, SHORT)
    after = files_below(project.run_dir)
    assert {**before, ".lock": b""} == {**after, ".lock": b""}


def test_a_new_run_archives_the_checkpoints_of_another_version(project: Project) -> None:
    """That is what the refusal advises."""
    rewrite(paused(project), format=3)
    kept = {name: content for name, content in files_below(project.run_dir).items() if "_step" in name}
    train(project, SHORT, "restart", until=step_done(1))
    (archived,) = (project.run_dir / "archive").iterdir()
    assert kept.items() <= files_below(archived).items()


def test_copies_under_the_name_of_another_step_are_kept(project: Project) -> None:
    """Before the run's place and behind it: they are somebody's backup, whatever stands in them."""
    config = SHORT.updated({"keep_checkpoints": 1})
    train(project, config, until=step_done(4))
    newest = checkpoint_folders(project.run_dir)[0]
    before, behind = (project.run_dir / f"checkpoint_epoch0_step{step}" for step in (2, 999))
    shutil.copytree(newest, before)
    shutil.copytree(newest, behind)
    content = files_below(newest)
    events = train(project, config)
    assert any(isinstance(event, Notice) and behind.name in event.message for event in events)
    assert files_below(before) == content
    (archived,) = (project.run_dir / "archive").iterdir()
    assert files_below(archived / behind.name) == content


@pytest.mark.parametrize(
    "changes",
    [
        {"progress": {"step": "x"}},
        {"progress": None},
        {"files": {"../../mine.txt": {"size": 1, "sha256": ""}}},
        {"files": []},
        {"versions": 3},
    ],
    ids=["text for a number", "no progress", "a foreign file", "no files", "no versions"],
)
def test_values_of_other_types_are_refused(project: Project, changes: dict[str, Any]) -> None:
    """With a right checksum: never a defect, and nothing goes on from something older."""
    rewrite(paused(project), **changes)
    before = files_below(project.run_dir)
    with pytest.raises(UserError, match="another version wrote it"):
        train(project, SHORT)
    assert {**files_below(project.run_dir), ".lock": b""} == {**before, ".lock": b""}


def test_checkpoints_that_the_run_did_not_write_are_not_pruned(project: Project) -> None:
    """Neither another run's, nor one with a file of a person in it."""
    config = SHORT.updated({"keep_checkpoints": 1})
    train(project, config, until=step_done(4))
    newest = checkpoint_folders(project.run_dir)[0]
    other, first = (project.run_dir / f"checkpoint_epoch0_step{step}" for step in (1, 2))
    for step, folder, run in ((1, other, {"run": "another"}), (2, first, {})):
        shutil.copytree(newest, folder)
        rewrite(folder, step=step, **run)
    (first / "notes.txt").write_text("do not lose this")
    end = train(project, config)[-1]
    assert isinstance(end, Finished)
    left = checkpoint_folders(project.run_dir)
    assert {other, first} < set(left) and newest not in left
    assert (first / "notes.txt").read_text() == "do not lose this"


@pytest.mark.parametrize("name", ["training_state.json", "config_selected.json"])
def test_files_of_a_later_format_are_refused(project: Project, name: str) -> None:
    """The state of a run, and the selected configuration of a new one."""
    paused(project)
    path = project.run_dir / name
    values = json.loads(path.read_text())
    assert values["format"] == 2
    path.write_text(json.dumps({**values, "format": 3, "news": 1}))
    if name == "config_selected.json":
        with pytest.raises(UserError, match="another version"):
            TrainingConfig.load(path)
        return
    with pytest.raises(UserError, match=r"training_state.json holds what .*another version wrote it"):
        train(project, SHORT)
    path.write_text(json.dumps({**values, "format": 1}))
    assert isinstance(train(project, SHORT)[-1], Finished)


def test_a_damaged_state_without_checkpoints_is_no_new_beginning(project: Project) -> None:
    """Nobody knows how the run stood; with a checkpoint that is known."""
    project.run_dir.mkdir()
    project.state_file.write_text("{")
    with pytest.raises(UserError, match="is damaged and there is no checkpoint"):
        train(project, SHORT)
    train(project, SHORT, "restart", until=step_done(4))
    assert [path.read_text() for path in project.archive_dir.glob("*/training_state.json")] == ["{"]
    project.state_file.write_text("{")
    assert isinstance(train(project, SHORT)[-1], Finished)


def test_other_versions_of_mlx_are_reported_and_asked_for(project: Project) -> None:
    """The same bytes are promised for the same versions only."""
    folder = paused(project)
    state = read_state(folder)
    assert state is not None
    rewrite(folder, versions={**state["versions"], "mlx": "0.1.0", "mqlora-tui": "0.0.1"})
    with pytest.raises(OtherVersions, match=r"mlx 0\.1\.0 -> [\d.]+; install"):
        train(project, SHORT)
    events = list(Trainer(project, None, StopEvent(), how=Resumption(accept_versions=True)).run())
    assert any(isinstance(event, Notice) and "mlx 0.1.0" in event.message for event in events)
    assert isinstance(events[-1], Finished)


def test_a_persons_files_in_the_adapter_folder_are_kept(project: Project) -> None:
    """Before a first run, under a run and at a resume: archived where they are in the way."""
    project.adapters_dir.mkdir(parents=True)
    own = project.adapters_dir / "adapters.safetensors"
    own.write_bytes(b"mine")
    (project.adapters_dir / "notes.txt").write_text("mine too")
    train(project, SHORT, until=step_done(4))
    (archived,) = (project.run_dir / "archive").iterdir()
    assert files_below(archived)["adapters/adapters.safetensors"] == b"mine"
    assert files_below(archived)["adapters/notes.txt"] == b"mine too"
    trained = own.read_bytes()
    own.write_bytes(b"another of mine")
    events = train(project, SHORT)
    assert b"another of mine" in files_below(project.run_dir / "archive").values()
    assert any(isinstance(event, Notice) and "is not of this run" in event.message for event in events)
    assert own.read_bytes() != b"another of mine" and trained


def test_a_folder_with_other_things_as_the_runs_folder(project: Project, tmp_path: Path) -> None:
    """A link to it is followed; what no run wrote there stays where it is."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "photos").mkdir(parents=True)
    (elsewhere / "photos" / "one.jpg").write_bytes(b"jpg")
    (elsewhere / "thesis.txt").write_text("text")
    os.symlink(elsewhere, project.run_dir)
    train(project, SHORT)
    train(project, SHORT, "restart", until=step_done(1))
    assert (elsewhere / "photos" / "one.jpg").read_bytes() == b"jpg"
    assert (elsewhere / "thesis.txt").read_text() == "text"
    assert newest_checkpoint(elsewhere)[0] is not None


def test_an_early_stop_leaves_as_many_checkpoints_as_are_kept(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one is saved out of turn; those that it takes the place of go."""
    scripted(monkeypatch, [9.0, 3.0, 4.0, 5.0])
    config = RUN.updated(
        {"eval_every": 3, "save_every": 2, "early_stopping_patience": 2, "keep_checkpoints": 3}
    )
    end = train(project, config)[-1]
    assert isinstance(end, Finished) and end.reason == "early_stopping"
    kept = [checkpoint_step(folder) for folder in checkpoint_folders(project.run_dir)]
    assert end.best_step == 3 and kept == [9, 8, 6, 3]


def test_only_names_that_this_program_writes_are_checkpoints(tmp_path: Path) -> None:
    """Digits of other scripts, leading zeros, numbers beyond any run and paths are somebody else's."""
    for name in (
        "0_step3",
        "0_step٣",
        "0_step04",
        "-1_step4",
        "0_step1" + "0" * 30,
        "0_step4..",
        "0_step5\n",
    ):
        (tmp_path / f"checkpoint_epoch{name}").mkdir()
    assert [path.name for path in checkpoint_folders(tmp_path)] == ["checkpoint_epoch0_step3"]
