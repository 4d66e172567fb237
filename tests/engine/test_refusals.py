"""Runs that are refused: said why, and nothing touched."""

import shutil
from collections.abc import Callable

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import Event
from tests.support.moments import step_done
from tests.support.tiny import RUN, files_below, metrics_rows, train, write_model

import pytest


def snapshot(project: Project) -> dict[str, bytes]:
    """Every file of the run, the lock's empty file aside."""
    return {k: v for k, v in files_below(project.root).items() if not k.endswith(".lock")}


def changed_data(project: Project) -> None:
    project.train_file.write_text(project.train_file.read_text() + "\n")


def changed_weights(project: Project) -> None:
    shutil.rmtree(project.models_dir / "tiny")
    write_model(project.models_dir / "tiny", rope_theta=500.0)


def changed_template(project: Project) -> None:
    (project.models_dir / "tiny" / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")


@pytest.mark.parametrize(
    ("change", "config", "words"),
    [
        (lambda project: None, RUN.updated({"learning_rate": 0.02, "seed": 1}), "learning_rate 0.01 -> 0.02"),
        (lambda project: None, RUN.updated({"learning_rate": 0.02, "seed": 1}), "seed 5 -> 1"),
        (changed_data, RUN, "data files have changed"),
        (changed_weights, RUN, "base model has changed"),
        (changed_template, RUN, "chat template or the tokenizer has changed"),
    ],
)
def test_a_run_is_not_resumed_with_other_ingredients(
    project: Project, change: Callable[[Project], None], config: TrainingConfig, words: str
) -> None:
    """The difference is shown and nothing is touched."""
    train(project, until=step_done(1))
    change(project)
    before = snapshot(project)
    with pytest.raises(UserError, match=words) as refused:
        train(project, config)
    assert "--restart" in refused.value.fix
    assert snapshot(project) == before


def broken(project: Project, name: str) -> None:
    target = {"valid": project.valid_file, "tokenizer": project.models_dir / "tiny" / "tokenizer.json"}
    target.get(name, project.models_dir / "tiny" / "model.safetensors").write_text("{}\n")


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("name", ["valid", "tokenizer", "weights"])
def test_a_refused_run_leaves_everything_as_it_was(project: Project, begun: bool, name: str) -> None:
    """Neither a new folder nor a changed file, nor an archived run when a restart is refused."""
    if begun:
        train(project, until=step_done(1))
    broken(project, name)
    before = snapshot(project)
    with pytest.raises(UserError) as refused:
        train(project, RUN, "restart")
    assert refused.value.fix
    assert snapshot(project) == before
    assert project.run_dir.exists() == begun


def test_a_finished_run_is_not_trained_further(
    finished: tuple[Project, list[Event]],
) -> None:
    """Neither on its own nor by asking to resume."""
    before = snapshot(finished[0])
    for mode in ("auto", "resume"):
        with pytest.raises(UserError, match="finished"):
            train(finished[0], RUN, mode)
    assert snapshot(finished[0]) == before


def test_there_must_be_a_run_to_resume(project: Project) -> None:
    """Asked to resume, a run never begins."""
    with pytest.raises(UserError, match="no run to resume"):
        train(project, RUN, "resume")
    assert not project.run_dir.exists()


def test_a_run_with_only_damaged_checkpoints_is_refused(project: Project) -> None:
    """It is not silently begun anew: the way out is named, and every file stays."""
    train(project, until=step_done(1))
    for folder in checkpoint_folders(project.run_dir):
        (folder / "optimizer.safetensors").write_bytes(b"")
    before = metrics_rows(project)
    for mode in ("auto", "resume"):
        with pytest.raises(UserError, match="damaged") as refused:
            train(project, RUN, mode)
        assert "--restart" in refused.value.fix
    assert metrics_rows(project) == before
