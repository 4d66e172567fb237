"""Damage to any file of a run, between two sessions."""

import random
from pathlib import Path

from engine.project import Project
from tests.campaigns import damage
from tests.campaigns.bench import Bench, pause_at
from tests.campaigns.common import broken
from tests.campaigns.plugin import Show

import pytest


@pytest.mark.campaign
@pytest.mark.parametrize(("tries", "seed"), [pytest.param(20, 0, id="campaign")], indirect=True)
def test_every_file_is_damaged_in_every_way(tries: int, seed: int, show: Show) -> None:
    """The campaign."""
    results = damage.campaign(tries, seed)
    show("Damage between two sessions", results)
    assert broken(results) == []


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("damage"), damage.CONFIG)


@pytest.mark.slow
def test_a_file_of_the_newest_checkpoint_is_damaged(bench: Bench) -> None:
    """A drawn file in a drawn way: named, and the checkpoint before is used."""
    paused, chance = paused_run(bench), random.Random(3)
    for way in chance.sample([*damage.DRAWN, *damage.CERTAIN], 3):
        name = chance.choice(["adapters.safetensors", "optimizer.safetensors", "state.json"])
        assert damage.damage_checkpoint(bench, paused, name, way, chance).faults == ()


@pytest.mark.slow
def test_another_file_of_the_run_is_damaged(bench: Bench) -> None:
    """The run goes on from its newest checkpoint."""
    paused, chance = paused_run(bench), random.Random(4)
    for name in ("training_state.json", "training_metrics.json", "adapters/adapters.safetensors"):
        way = chance.choice([damage.truncate, *damage.CERTAIN])
        assert damage.damage_other(bench, paused, Path(name), way, chance).faults == ()


def paused_run(bench: Bench) -> Project:
    paused = bench.copy()
    bench.sit(paused, pause_at(damage.PAUSE))
    return paused
