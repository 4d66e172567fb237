"""Where a run begins, decided from what lies on disk and without touching it."""

import errno
import os
from pathlib import Path

from engine.backend import mx
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.fingerprint import data_fingerprint, model_fingerprint, template_fingerprint
from engine.project import Project
from engine.training.checkpoint import RunIdentity, save_checkpoint
from engine.training.progress import Progress
from engine.training.resume import open_run
from engine.training.state import RunState, Status
from tests.support.tiny import RUN, pairs, write_model, write_rows

import pytest


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Data and a model."""
    project = Project(tmp_path)
    for path, start in ((project.train_file, 0), (project.valid_file, 50)):
        write_rows(path, pairs(3, start))
    write_model(project.models_dir / "tiny")
    return project


def identity(project: Project, config: TrainingConfig = RUN) -> RunIdentity:
    folder = project.models_dir / "tiny"
    return RunIdentity(
        config, data_fingerprint(project), model_fingerprint(folder), template_fingerprint(folder)
    )


def save(project: Project, step: int, config: TrainingConfig = RUN) -> Path:
    weights = {"a": mx.zeros(2)}
    project.run_dir.mkdir(exist_ok=True)
    return save_checkpoint(
        project.run_dir, 0, Progress(step), identity(project, config), weights, {}, weights
    )


def test_nothing_there_is_a_fresh_start(project: Project) -> None:
    """With the defaults where nothing is configured, and the model's name written out."""
    start = open_run(project, None, "auto")
    assert start.checkpoint is None and start.notices == ()
    assert start.identity == identity(project, TrainingConfig(model="tiny"))
    assert not project.run_dir.exists()


def test_the_newest_checkpoint_is_where_it_goes_on(project: Project) -> None:
    """Also where the wanted configuration leaves the model's name open."""
    save(project, 3)
    save(project, 6)
    for config in (None, RUN, RUN.updated({"model": ""})):
        start = open_run(project, config, "auto")
        assert start.checkpoint is not None and start.checkpoint.progress.step == 6
        assert start.identity == identity(project)


@pytest.mark.parametrize("status", ["running", "paused", "failed"])
def test_an_unfinished_run_goes_on_whatever_ended_it(project: Project, status: Status) -> None:
    """A crash leaves "running", bad numbers leave "failed"."""
    save(project, 3)
    RunState(status, "tiny").save(project.state_file)
    assert open_run(project, RUN, "resume").checkpoint is not None


def test_a_restart_looks_at_nothing_of_the_old_run(project: Project) -> None:
    """Neither at a finished state nor at another configuration."""
    save(project, 3, RUN.updated({"seed": 1}))
    RunState("finished", "tiny").save(project.state_file)
    start = open_run(project, RUN, "restart")
    assert start.checkpoint is None and start.identity.config == RUN


def test_another_memory_limit_is_no_difference(project: Project) -> None:
    """After memory ran out a run goes on with less or more; the new limit is the one from then on."""
    save(project, 3)
    config = RUN.updated({"max_memory_gb": 3.5})
    start = open_run(project, config, "auto")
    assert start.checkpoint is not None and start.identity.config == config


def test_all_differences_are_reported_at_once(project: Project) -> None:
    """Each with its old and its new value."""
    save(project, 3)
    write_rows(project.valid_file, pairs(4))
    with pytest.raises(UserError) as refused:
        open_run(project, RUN.updated({"batch_size": 3, "lr_schedule": "linear"}), "auto")
    for words in ("batch_size 2 -> 3", "lr_schedule cosine -> linear", "data files have changed"):
        assert words in refused.value.problem


@pytest.mark.parametrize("name", ["train_file", "valid_file"])
def test_a_missing_data_file_is_reported(project: Project, name: str) -> None:
    """By its path."""
    getattr(project, name).unlink()
    with pytest.raises(UserError, match=getattr(project, name).name):
        open_run(project, RUN, "auto")


def test_a_missing_model_is_reported(project: Project) -> None:
    """The one that was asked for."""
    with pytest.raises(UserError, match="'other'"):
        open_run(project, RUN.updated({"model": "other"}), "auto")


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"]
)
def test_a_changed_model_file_changes_the_fingerprint(project: Project, name: str) -> None:
    """Weights, tokenizer and chat template; another file does not matter."""
    folder = project.models_dir / "tiny"
    seen = {model_fingerprint(folder)}
    (folder / "README.md").write_text("x")
    assert model_fingerprint(folder) in seen
    for content in ("[1]", "[2]"):
        (folder / name).write_text(content)
        seen.add(model_fingerprint(folder))
    assert len(seen) == 3


def test_the_template_has_a_fingerprint_of_its_own(project: Project) -> None:
    """Template and tokenizer change it, weights and sizes do not."""
    folder = project.models_dir / "tiny"
    before = template_fingerprint(folder)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("[1]")
        assert template_fingerprint(folder) == before
    seen = {before}
    for name in ("tokenizer.json", "chat_template.jinja", "tokenizer_config.json"):
        (folder / name).write_text("[2]")
        seen.add(template_fingerprint(folder))
    assert len(seen) == 4


def test_a_checkpoint_that_cannot_be_read_now_is_not_called_damaged(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails for a moment must not cost a good checkpoint: the run is refused, with the reason."""
    save(project, 3)

    def fail(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr("engine.training.checksums.file_sha256", fail)
    with pytest.raises(UserError, match=r"Cannot read .*adapters.safetensors: Input/output error"):
        open_run(project, None, "auto")
