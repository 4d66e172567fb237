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
_VALIDATION_SHARE = 0.1
"""Of a run's time, which its validations take at most where nobody has said when they are made."""
_SHORTEST_INTERVAL = 50
"""Steps between validations that nobody has asked for."""


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


def validation_interval(config: TrainingConfig, examples: int, held_out: int) -> int:
    """Return the steps between validations; 0 where there are only those at the ends of epochs.

    Where the configuration leaves it open, all validations together take at most a tenth of the time,
    if those before the first step and at the ends of epochs alone do not take more. It depends on nothing
    but the number of rows, so that a run that goes on, or is made again, is validated where it was.

    Args:
        config: of the run.
        examples: that are trained on.
        held_out: examples of a validation.
    """
    if config.eval_every != "auto":
        return config.eval_every
    if not examples or not held_out:
        return 0
    steps = planned_steps(config, examples)
    epochs = _epochs(config, examples, steps)
    trained, scored = epochs * examples, held_out * VALIDATION_COST
    affordable = trained / scored * _VALIDATION_SHARE / (1 - _VALIDATION_SHARE)
    between = int(affordable) - 1 - math.ceil(epochs)
    return max(_SHORTEST_INTERVAL, math.ceil(steps / (between + 1))) if between > 0 else 0


def _epochs(config: TrainingConfig, examples: int, steps: int) -> float:
    """Return how often a run of so many steps goes through its examples."""
    full = steps * config.examples_per_step / examples
    return min(full, config.num_epochs)  # an epoch's last step is smaller


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
    examples = data.train.examples
    steps = planned_steps(config, examples)
    epochs = _epochs(config, examples, steps) if examples else 0.0
    interval = validation_interval(config, examples, data.valid.examples)
    validations = 1 + math.ceil(epochs) + (steps // interval if interval else 0)
    limit = config.max_seq_length
    tokens = train.within(limit) * epochs + valid.within(limit) * validations * VALIDATION_COST
    return tokens / tokens_per_second
