"""What is said of a configuration before it is trained, and that the rule holds of runs that are made."""

from dataclasses import replace
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.fit.expectations import ENOUGH_REACH, expectations, reach
from engine.profiles import profile_config
from engine.training.schedule import learning_rate
from tests.support.fake_engine import data_report

import pytest

SAFE, BALANCED = (profile_config(name, TrainingConfig()) for name in ("SAFE", "BALANCED"))


def rows(count: int) -> DataReport:
    report = data_report()
    return replace(report, train=replace(report.train, examples=count, tokens=None))


def answers(trained: int, total: int) -> DataReport:
    report = data_report()
    assert report.train.tokens
    tokens = replace(report.train.tokens, trained=trained, total=total)
    return replace(report, train=replace(report.train, examples=10_000, tokens=tokens))


@pytest.mark.parametrize(
    ("config", "count", "is_expected"),
    [
        (SAFE, 95, True),
        (SAFE, 300, True),
        (SAFE, 2000, False),
        (BALANCED, 95, False),
        (BALANCED, 20, True),
        (BALANCED.updated({"num_epochs": 20}), 20, False),
        (BALANCED.updated({"learning_rate": 1e-5}), 95, True),
        (BALANCED.updated({"lora_alpha": 1}), 95, True),
        (BALANCED.updated({"optimizer": "muon", "learning_rate": 6e-4}), 95, False),
        (BALANCED.updated({"lr_schedule": "constant"}), 50, False),
        (BALANCED.updated({"max_steps": 10}), 2000, True),
    ],
)
def test_too_little_movement_is_said(config: TrainingConfig, count: int, is_expected: bool) -> None:
    """Few rows, few epochs, a low rate, a weak adapter."""
    said = [text for text in expectations(config, rows(count)) if text.startswith("Expect underfitting")]
    assert bool(said) == is_expected


def test_what_is_advised_is_enough() -> None:
    """So many epochs are no longer expected to underfit; one fewer is."""
    (text,) = expectations(SAFE, rows(95))
    assert "24 steps at up to 1e-4 are 25 %" in text
    epochs = int(text.partition("num_epochs=")[2].split()[0])
    assert not expectations(SAFE.updated({"num_epochs": epochs}), rows(95))
    assert expectations(SAFE.updated({"num_epochs": epochs - 1}), rows(95))
    (text,) = expectations(BALANCED.updated({"max_steps": 10}), rows(2000))
    assert text.endswith("; raise max_steps or learning_rate")
    (text,) = expectations(BALANCED.updated({"learning_rate": 1e-9}), rows(5))
    assert text.endswith("; raise learning_rate")


@pytest.mark.parametrize("steps", [1, 7, 499, 500, 1234, 40_000])
def test_reach_is_the_sum_of_all_rates(steps: int) -> None:
    """A sample of the steps is as good."""
    rates = sum(learning_rate(step, steps, BALANCED) for step in range(1, steps + 1))
    assert reach(BALANCED, steps) == pytest.approx(rates * BALANCED.lora_scale, rel=0.01)
    assert reach(BALANCED, 72) > ENOUGH_REACH > reach(SAFE, 24)


@pytest.mark.parametrize(
    ("changes", "trained", "total", "words"),
    [
        ({}, 100, 1000, "Answers are short, 0.11 of the length of prompts"),
        ({}, 500, 1000, ""),
        ({"prompt_loss_weight": 0.05}, 100, 1000, ""),
        ({"prompt_loss_weight": 1}, 1000, 1000, "validation counts prompts, too"),
    ],
)
def test_the_weight_of_prompts_is_advised_by_the_data(
    changes: dict[str, Any], trained: int, total: int, words: str
) -> None:
    """Where answers are short, and where losses will not compare."""
    said = expectations(BALANCED.updated(changes), answers(trained, total))
    assert (words in said[0]) if words else not said


def test_of_unknown_rows_nothing_is_said() -> None:
    """Before they are read."""
    assert expectations(SAFE, None) == expectations(SAFE, rows(0)) == ()
