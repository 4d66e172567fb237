"""What one configuration takes: the same as the profile's offer, and what is advised of its learning rate."""

from pathlib import Path

from engine.config import TrainingConfig
from engine.fit.price import advised_rate, nearest_profile, price_config
from engine.model_folder.dimensions import ModelDimensions
from engine.profiles import NAMES, PROFILES, profile_config, recommend
from engine.project import Project
from tests.support.fake_engine import data_report, hardware_report
from tests.support.tiny import tiny_project

import pytest


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _name: str(tmp_path / "cache"))
    return tiny_project(tmp_path / "project")


def test_a_profile_has_the_price_of_its_offer(project: Project) -> None:
    """Memory and steps; a larger batch takes more."""
    model = ModelDimensions.read(project.model_dir("tiny"))
    hardware, data, base = hardware_report(), data_report(), TrainingConfig(model="tiny")
    offers = {offer.name: offer for offer in recommend(hardware, model, data, base=base).offers}
    for name in NAMES:
        price = price_config(project, profile_config(name, base), hardware, model, data)
        assert (price.peak_memory, price.steps) == (offers[name].peak_memory, offers[name].steps)
        assert price.fits and not price.is_measured
    larger = price_config(project, base.updated({"batch_size": 64}), hardware, model, data)
    assert larger.peak_memory > price.peak_memory
    nothing = price_config(project, base, hardware, None, None)
    assert (nothing.peak_memory, nothing.steps, nothing.seconds) == (0, None, None)


def test_the_advised_rate_is_the_profiles_and_grows_with_the_root_of_the_step() -> None:
    """Four times the examples: twice the rate; within what the advice after a run names."""
    for name in NAMES:
        config = profile_config(name, TrainingConfig())
        assert advised_rate(config) == PROFILES[name]["learning_rate"]
    balanced = profile_config("BALANCED", TrainingConfig())
    assert nearest_profile(balanced.updated({"gradient_accumulation": 8})) == "BALANCED"
    assert advised_rate(balanced.updated({"gradient_accumulation": 8})) == 4e-4
    assert advised_rate(balanced.updated({"gradient_accumulation": 1024})) == 5e-4
