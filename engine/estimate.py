"""What a run will take: steps, tokens and seconds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from engine.config import TrainingConfig
from engine.dataset.report import DataReport

Name = TypeVar("Name", bound=str)
VALIDATION_COST = 0.4
"""Time of a token in validation, which has no backward pass, against one in training."""


@dataclass(frozen=True)
class Estimate:
    """What a run under one profile takes."""

    profile: str
    steps: int
    """Optimizer steps in all."""
    tokens: int | None
    """To be trained on in an epoch, prompts included; None while they are not counted."""
    seconds: float | None
    """None while no speed is known either."""


def estimates(
    data: DataReport, configs: Mapping[Name, TrainingConfig], speeds: Mapping[Name, float]
) -> tuple[Estimate, ...]:
    """Return what a run takes under each of some configurations.

    Args:
        data: what is known of the data.
        configs: by the name of their profile.
        speeds: tokens a second, by the name of the profile.
    """
    return tuple(
        Estimate(
            name,
            planned_steps(config, data.train.examples),
            planned_tokens(config, data),
            planned_seconds(config, data, speeds.get(name, 0.0)),
        )
        for name, config in configs.items()
    )


def planned_steps(config: TrainingConfig, examples: int) -> int:
    """Return the optimizer steps of a run; the last, smaller step of an epoch counts."""
    steps = math.ceil(examples / config.examples_per_step) * config.num_epochs
    return min(steps, config.max_steps) if config.max_steps else steps


def planned_tokens(config: TrainingConfig, data: DataReport) -> int | None:
    """Return the tokens of an epoch; None while they are not counted."""
    return data.train.tokens.within(config.max_seq_length) if data.train.tokens else None


def planned_seconds(config: TrainingConfig, data: DataReport, tokens_per_second: float) -> float | None:
    """Return the duration of a run with all its validations.

    None while tokens are not counted, or for a speed of 0, which stands for one that is not known.
    """
    train, valid = data.train.tokens, data.valid.tokens
    if train is None or valid is None or tokens_per_second <= 0:
        return None
    steps = planned_steps(config, data.train.examples)
    epochs = steps * config.examples_per_step / data.train.examples if data.train.examples else 0.0
    epochs = min(epochs, config.num_epochs)  # an epoch's last step is a smaller one
    validations = 1 + math.ceil(epochs) + (steps // config.eval_every if config.eval_every else 0)
    limit = config.max_seq_length
    tokens = train.within(limit) * epochs + valid.within(limit) * validations * VALIDATION_COST
    return tokens / tokens_per_second
