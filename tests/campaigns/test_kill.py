"""Killed at random moments, a run loses nothing; and the campaign would see it if it did."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders
from tests.campaigns.common import broken
from tests.campaigns.kill import Undisturbed, campaign, draw
from tests.campaigns.plugin import Show
from tests.campaigns.readable import unreadable
from tests.support.tiny import RUN, tiny_project, train

import pytest


@pytest.mark.parametrize(
    ("tries", "seed"),
    [
        pytest.param(2, 3, marks=pytest.mark.slow, id="short"),
        pytest.param(200, 0, marks=pytest.mark.campaign, id="campaign"),
    ],
    indirect=True,
)
def test_killed_at_random_moments_a_run_ends_in_the_same_bytes(tries: int, seed: int, show: Show) -> None:
    """The campaign."""
    results = campaign(tries, seed)
    show("SIGKILL at random moments", results)
    assert broken(results) == [] and results[-1].tries == tries


def test_moments_are_drawn_from_all_of_a_runs_life() -> None:
    """Some while the process starts, some right after an event, most in between, none after the end."""
    times = (1.0, 1.5, 2.0, 2.2, 3.0, 4.0)
    undisturbed = Undisturbed(Path(), {}, times, writing=2)
    moments = [draw(undisturbed, random.Random(seed)) for seed in range(300)]
    assert {moment.event for moment in moments} == {-1, 0, 1, 2, 3, 4}
    begins = [times[moment.event] if moment.event >= 0 else 0.0 for moment in moments]
    assert all(begin + moment.delay <= 4.0 for begin, moment in zip(begins, moments, strict=True))
    early = sum(moment.event < 2 for moment in moments)
    at_event = sum(moment.delay == 0 for moment in moments)
    assert 0.05 < early / 300 < 0.2 and 0.1 < at_event / 300 < 0.3


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run that is only ever copied."""
    project = tiny_project(tmp_path_factory.mktemp("finished"))
    train(project, RUN.updated({"num_epochs": 1}))
    return project


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_third_line(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))


def shorter_line(path: Path) -> None:
    path.write_text(path.read_text() + "7,1\n")


def other_rank(path: Path) -> None:
    config = json.loads(path.read_text())
    config["lora_parameters"]["rank"] += 1
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("training_state.json", half, "is not a state"),
        ("config_selected.json", half, "is not JSON"),
        ("training_metrics.json", without_third_line, "every step once"),
        ("training_metrics.json", shorter_line, "not a step"),
        ("training_metrics.csv", shorter_line, "too few or too many"),
        ("adapters/adapters.safetensors", half, "cannot be loaded"),
        ("adapters/adapter_config.json", other_rank, "cannot be loaded"),
        ("adapters/adapter_config.json", Path.unlink, "cannot be loaded"),
    ],
)
def test_what_a_reader_cannot_use_is_told(
    finished: Project, tmp_path: Path, name: str, damage: Callable[[Path], None], told: str
) -> None:
    """Nothing is found in a sound run, and each kind of damage in a damaged one."""
    shutil.copytree(finished.root, tmp_path / "copy")
    project = Project(tmp_path / "copy")
    assert list(unreadable(project)) == []
    damage(project.run_dir / name)
    [fault] = unreadable(project)
    assert told in fault


def test_a_torn_line_is_one_that_is_being_written(finished: Project, tmp_path: Path) -> None:
    """It has no end yet, so no reader takes it for a step."""
    shutil.copytree(finished.root, tmp_path / "copy")
    project = Project(tmp_path / "copy")
    for path in (project.metrics_file, project.metrics_csv):
        path.write_text(path.read_text() + '{"step": 7, "lo')
    assert list(unreadable(project)) == []


def test_a_damaged_checkpoint_is_told(finished: Project, tmp_path: Path) -> None:
    """Any of those that can be seen, not only the newest."""
    shutil.copytree(finished.root, tmp_path / "copy")
    project = Project(tmp_path / "copy")
    oldest = checkpoint_folders(project.run_dir)[-1]
    half(oldest / "optimizer.safetensors")
    assert list(unreadable(project)) == [f"{oldest.name} is damaged"]
