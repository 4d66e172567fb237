"""Measurements are kept, and count only for what they were made with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.fit import measured as cache
from engine.fit.measure import Fit, Measured
from engine.fit.measured import Known, measure_and_remember, recall_profiles
from engine.memory.predict import MemoryBudget
from engine.profiles import ProfileName, profile_config
from engine.project import Project

import pytest

GB = 1_000_000_000
BUDGET = MemoryBudget("cpu", 8 * GB, 16 * GB)
SHAPE = BatchShape.full(rows=2, length=64, targets=40)
MEASURED = Measured(3 * GB, 4 * GB, 1.5, predicted=None, adapts=True)
FITS = Fit(True, BUDGET, SHAPE, MEASURED)
RAN_OUT = Fit(False, BUDGET, SHAPE, None, "MLX ran out of memory")
NOTHING = Known({}, frozenset())
BASE = TrainingConfig()


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep measurements in a folder of the test."""
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache" / "mqlora-tui" / "fit"


def keep(
    monkeypatch: pytest.MonkeyPatch, project: Project, fit: Fit, name: ProfileName = "SAFE", **changes: Any
) -> None:
    """Measure a profile; `fit` is what is found."""
    monkeypatch.setattr(cache, "measure_fit", lambda *_arguments: fit)
    config = profile_config(name, BASE.updated(changes))
    assert measure_and_remember(project, config, lambda _text: None) == fit


def test_a_measurement_is_known_at_the_next_start(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of the profile that was measured."""
    assert recall_profiles(project, BASE, 8 * GB) == NOTHING
    keep(monkeypatch, project, FITS)
    assert recall_profiles(project, BASE, 8 * GB) == Known({"SAFE": 3 * GB}, frozenset())


def test_what_ran_out_of_memory_counts_until_there_is_more(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more memory than then it may fit."""
    keep(monkeypatch, project, RAN_OUT, "PERFORMANCE")
    assert recall_profiles(project, BASE, 8 * GB).failed == {"PERFORMANCE"}
    assert recall_profiles(project, BASE, 8 * GB + 1) == NOTHING


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"learning_rate": 1e-3, "num_epochs": 9, "seed": 7, "lora_alpha": 64, "eval_every": 3}, True),
        ({"lora_rank": 16}, False),
        ({"lora_layers": 1}, False),
        ({"lora_targets": ("q_proj",)}, False),
        ({"gradient_checkpointing": "on"}, False),
        ({"prompt_loss_weight": 1}, False),
    ],
)
def test_only_what_matters_for_memory_makes_it_void(
    project: Project, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], counts: bool
) -> None:
    """Another learning rate takes the same memory, another rank does not."""
    keep(monkeypatch, project, FITS)
    assert bool(recall_profiles(project, BASE.updated(changes), 8 * GB).peaks) == counts


@pytest.mark.parametrize("name", ["train_file", "valid_file"])
def test_other_data_make_it_void(project: Project, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One longer row may be what does not fit."""
    keep(monkeypatch, project, FITS)
    with getattr(project, name).open("a") as file:
        file.write('{"prompt": "long", "completion": "row"}\n')
    assert recall_profiles(project, BASE, 8 * GB) == NOTHING


def test_another_model_makes_it_void(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder's name does not count, its files do."""
    keep(monkeypatch, project, FITS)
    config = project.model_dir("") / "config.json"
    config.write_text(config.read_text().replace("64", "72"))
    assert recall_profiles(project, BASE, 8 * GB) == NOTHING


def test_another_machine_or_version_makes_it_void(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home folder may be shared, and MLX updated."""
    keep(monkeypatch, project, FITS)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("platform.node", lambda: "another-machine")
        assert recall_profiles(project, BASE, 8 * GB) == NOTHING
    with monkeypatch.context() as later:
        later.setattr(cache, "installed_programs", lambda: ["mlx 99.0"])
        assert recall_profiles(project, BASE, 8 * GB) == NOTHING
    assert recall_profiles(project, BASE, 8 * GB) != NOTHING


def test_without_model_or_data_nothing_is_known(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing fails; without data there is still what was measured without."""
    project.train_file.unlink()
    keep(monkeypatch, project, FITS)
    assert recall_profiles(project, BASE, 8 * GB).peaks == {"SAFE": 3 * GB}
    (project.model_dir("") / "config.json").unlink()
    assert recall_profiles(project, BASE, 8 * GB) == NOTHING


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"fits": true}', b'{"fits": "yes"}', b"\xff\xfe"])
def test_a_damaged_file_is_no_measurement(
    project: Project, monkeypatch: pytest.MonkeyPatch, folder: Path, content: bytes
) -> None:
    """It is measured again."""
    keep(monkeypatch, project, FITS)
    [file] = folder.iterdir()
    file.write_bytes(content)
    assert recall_profiles(project, BASE, 8 * GB) == NOTHING
    keep(monkeypatch, project, FITS)
    assert recall_profiles(project, BASE, 8 * GB) != NOTHING


def test_a_full_disk_loses_only_the_memory_of_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """The answer itself is there."""
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where the folder should be")
    keep(monkeypatch, project, FITS)
    assert recall_profiles(project, BASE, 8 * GB) == NOTHING


def test_short_of_memory_an_adaptable_run_would_be_another(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took with more memory says nothing then; of a run that cannot adapt it does."""
    keep(monkeypatch, project, FITS)
    assert recall_profiles(project, BASE, 2 * GB) == NOTHING
    assert recall_profiles(project, BASE, 3 * GB).peaks
    keep(monkeypatch, project, replace(FITS, measured=replace(MEASURED, adapts=False)))
    assert recall_profiles(project, BASE, 2 * GB).peaks == {"SAFE": 3 * GB}
