"""Runs that go on from an adapter: its numbers, its settings, its base model, and resume to the byte."""

import json
import shutil
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.analysis.report import format_report
from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.errors import UserError
from engine.fingerprint import given_sha256
from engine.model.adapter_file import read_adapter
from engine.project import Project
from engine.training.checkpoint import find_checkpoint, newest_checkpoint
from engine.training.events import CheckpointSaved, Evaluated, Event, Notice, StepDone
from engine.training.trainer import Trainer
from engine.verify.compare import compare_runs
from tests.support.peft_form import as_peft
from tests.support.tiny import RUN, pairs, tiny_project, train, write_model, write_rows

import pytest
from safetensors.numpy import load_file

FROM_BEST = RUN.updated({"init_adapter": "checkpoints_qlora/adapters", "learning_rate": 5e-3, "seed": 6})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose run is finished."""
    project = tiny_project(tmp_path_factory.mktemp("finished"))
    train(project)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of it, with new rows to train on."""
    shutil.copytree(finished.root, tmp_path / "project")
    project = Project(tmp_path / "project")
    write_rows(project.train_file, pairs(22, start=300))
    return project


def evaluations(events: list[Event]) -> list[Evaluated]:
    return [event for event in events if isinstance(event, Evaluated)]


def notices(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Notice))


@pytest.mark.parametrize("form", ["mlx-lm", "peft"])
def test_the_first_validation_is_the_adapters(project: Project, tmp_path: Path, form: str) -> None:
    """Its loss is the best of the run before, and what is trained is its numbers, whatever the form."""
    best = json.loads(project.state_file.read_text())["best_val_loss"]
    folder = project.adapters_dir
    if form == "peft":
        folder = as_peft(project.adapters_dir, tmp_path / "theirs")
    digest = given_sha256(next(folder.glob("*.safetensors")))
    begun = load_file(project.adapter_file)
    events = train(project, FROM_BEST.updated({"init_adapter": str(folder)}), "restart")
    first, *later = evaluations(events)
    assert first.step == 0 and first.val_loss == pytest.approx(best, rel=1e-6)
    assert min(event.val_loss for event in later) != best
    assert f"goes on from the adapter in {folder}" in notices(events)
    newest = newest_checkpoint(project.run_dir)[0]
    assert newest and newest.identity.init_adapter == digest
    now = load_file(project.adapter_file)
    assert now.keys() == begun.keys() and any((now[name] != begun[name]).any() for name in now)


def test_it_goes_on_from_the_best_of_the_run_that_it_archives(project: Project) -> None:
    """The commonest wish: the folder is read before it is moved, and the old adapter lies in the archive."""
    kept = project.adapter_file.read_bytes()
    events = train(project, FROM_BEST, "restart", until=lambda event: isinstance(event, Evaluated))
    [archived] = project.run_dir.glob("archive/*/adapters/adapters.safetensors")
    assert archived.read_bytes() == kept
    begun = find_checkpoint(project.run_dir, 0)
    assert begun and (begun.folder / "adapters.safetensors").exists()
    stored, wanted = load_file(begun.folder / "adapters.safetensors"), load_file(archived)
    assert all((stored[name] == wanted[name]).all() for name in wanted)
    assert evaluations(events)
    run = summarise(project)
    assert "went on from the adapter in checkpoints_qlora/adapters" in format_report(run, judge(run))


@pytest.mark.slow
def test_a_run_that_was_killed_as_it_scored_the_adapter_goes_on(project: Project) -> None:
    """The adapter is archived by then: a checkpoint is saved before the first validation."""
    straight = Project(Path(shutil.copytree(project.root, project.root.with_name("straight"))))
    train(straight, FROM_BEST, "restart")
    events = Trainer(project, FROM_BEST, StopEvent(), "restart").run()
    assert any(isinstance(event, CheckpointSaved) for event in events)  # and no further
    events.close()
    assert json.loads(project.state_file.read_text())["initial_val_loss"] is None
    assert not project.adapters_dir.exists() or not any(project.adapters_dir.iterdir())
    assert "goes on from the adapter" not in notices(train(project, None))
    assert all(item.identical for item in compare_runs(straight, project))


@pytest.mark.parametrize("form", ["mlx-lm", pytest.param("peft", marks=pytest.mark.slow)])
def test_resume_is_exact_and_needs_the_adapter_no_more(project: Project, tmp_path: Path, form: str) -> None:
    """Paused after the first step and again later, the adapter being gone: the same bytes as in one go."""
    given = tmp_path / "given"
    if form == "peft":
        as_peft(project.adapters_dir, given)
    else:
        shutil.copytree(project.adapters_dir, given)
    config = FROM_BEST.updated({"init_adapter": str(given)})
    straight = Project(Path(shutil.copytree(project.root, tmp_path / "straight")))
    train(straight, config, "restart")
    train(project, config, "restart", until=lambda event: isinstance(event, StepDone))
    shutil.rmtree(given)
    train(project, config, until=lambda event: isinstance(event, StepDone) and event.metrics.step == 5)
    train(project, None)
    assert [item.file for item in compare_runs(straight, project) if not item.identical] == []


def test_other_settings_are_refused_with_those_to_set(project: Project) -> None:
    """What the fix says is all that is to be done; nothing of the old run is moved before."""
    config = FROM_BEST.updated(
        {"lora_rank": 4, "lora_alpha": 3, "lora_targets": "q_proj", "lora_layers": 1, "lora_dropout": 0.1}
    )
    with pytest.raises(UserError, match="lora_rank, lora_alpha, lora_targets, lora_layers") as caught:
        train(project, config, "restart")
    assert project.adapter_file.is_file() and not (project.run_dir / "archive").exists()
    words = caught.value.fix.split("--set ")[1:]
    settings = dict(word.strip().split("=") for word in words)
    assert settings["lora_rank"] == "2" and settings["lora_alpha"] == "4"
    events = train(project, config.updated(settings), "restart", lambda event: isinstance(event, Evaluated))
    assert evaluations(events)


def test_a_scale_that_no_setting_gives_is_refused(project: Project, tmp_path: Path) -> None:
    """Such as one below zero: the configuration takes no such alpha."""
    shutil.copytree(project.adapters_dir, tmp_path / "given")
    file = tmp_path / "given" / "adapter_config.json"
    values = json.loads(file.read_text())
    values["lora_parameters"]["scale"] = -2.0
    file.write_text(json.dumps(values))
    with pytest.raises(UserError, match="lora_alpha"):
        train(project, FROM_BEST.updated({"init_adapter": str(tmp_path / "given")}), "restart")


def test_projections_that_are_not_trained_here_are_refused(project: Project, tmp_path: Path) -> None:
    """An adapter may have more kinds of layers than a run trains."""
    shutil.copytree(project.adapters_dir, tmp_path / "given")
    file = tmp_path / "given" / "adapter_config.json"
    values = json.loads(file.read_text())
    values["lora_parameters"]["keys"].append("lm_head")
    file.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"lm_head.* are not those of this model that can be trained"):
        train(project, FROM_BEST.updated({"init_adapter": str(tmp_path / "given")}), "restart")


def test_another_base_model_is_refused_and_how_to_have_it_all_the_same(project: Project) -> None:
    """The same shapes, other numbers: by its fingerprint; both ways out work."""
    write_model(project.models_dir / "other", rope_theta=20000.0)
    config = FROM_BEST.updated({"model": "other"})
    with pytest.raises(UserError, match=r"another base model \(tiny\) than other") as caught:
        train(project, config, "restart")
    file = project.adapters_dir / "adapter_config.json"
    assert str(file) in caught.value.fix and "base_model_fingerprint" in caught.value.fix
    values = json.loads(file.read_text())
    del values["base_model_fingerprint"]
    file.write_text(json.dumps(values))
    assert evaluations(train(project, config, "restart", lambda event: isinstance(event, Evaluated)))
    assert read_adapter_config(project)["base_model"] == "other"


def read_adapter_config(project: Project) -> dict[str, Any]:
    newest = newest_checkpoint(project.run_dir)[0]
    assert newest
    values: dict[str, Any] = json.loads((newest.folder / "adapter_config.json").read_text())
    return values


def test_a_model_of_other_sizes_is_refused(project: Project) -> None:
    """An adapter without a fingerprint whose matrices do not fit is refused by one of them."""
    write_model(project.models_dir / "wide", intermediate_size=160)
    file = project.adapters_dir / "adapter_config.json"
    values = json.loads(file.read_text())
    del values["base_model_fingerprint"]
    file.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"in this model .*160"):
        train(project, FROM_BEST.updated({"model": "wide"}), "restart")


@pytest.mark.parametrize("name", ["none", "checkpoints_qlora", "a\0b", "../../etc/passwd", "\x1b[2J"])
def test_a_folder_without_an_adapter_is_told(project: Project, name: str) -> None:
    """Nothing of the old run is moved."""
    with pytest.raises(UserError, match="Cannot use the adapter") as caught:
        train(project, FROM_BEST.updated({"init_adapter": name}), "restart")
    assert caught.value.fix and str(caught.value).isprintable()
    assert project.adapter_file.is_file()


def test_where_the_adapter_was_archived_is_told(project: Project) -> None:
    """And the words of the fix lead there."""
    target = project.run_dir / "archive" / "2026-01-01_000000_000000"
    target.mkdir(parents=True)
    project.adapters_dir.rename(target / "adapters")
    with pytest.raises(UserError, match="is archived") as caught:
        train(project, FROM_BEST, "restart")
    folder = caught.value.fix.partition("init_adapter=")[2]
    config = FROM_BEST.updated({"init_adapter": folder})
    assert evaluations(train(project, config, "restart", lambda event: isinstance(event, Evaluated)))


def test_an_unfinished_run_names_the_adapter_among_its_differences(project: Project) -> None:
    """It is a setting as any other."""
    train(project, RUN, "restart", until=lambda event: isinstance(event, StepDone))
    with pytest.raises(UserError, match="init_adapter"):
        train(project, FROM_BEST.updated({"learning_rate": 1e-2, "seed": 5}))


def test_our_adapter_names_its_base_and_a_whole_alpha(finished: Project) -> None:
    """`alpha` = scale x rank beside `scale`, where that is a whole number."""
    values = json.loads((finished.adapters_dir / "adapter_config.json").read_text())
    assert values["base_model"] == "tiny" and len(values["base_model_fingerprint"]) == 64
    assert values["lora_parameters"]["alpha"] == 4
    assert type(values["lora_parameters"]["alpha"]) is int
    read = read_adapter(finished.adapters_dir)
    assert (read.base_model, read.base_fingerprint) == ("tiny", values["base_model_fingerprint"])
