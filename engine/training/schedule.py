"""The learning rate of every step."""

import math
from fractions import Fraction

from engine.config import TrainingConfig


def learning_rate(step: int, total_steps: int, config: TrainingConfig) -> float:
    """Return the learning rate of optimizer step `step` (from 1) of `total_steps`.

    It rises linearly over the first ceil(warmup_ratio * total) steps and reaches
    its peak at the last of them. Then it stays, or falls linearly or along half
    a cosine (Loshchilov and Hutter, 2017, without restarts) towards its floor,
    `min_learning_rate_ratio` times the peak, which it would reach one step after the end.
    """
    # As the decimal the user wrote: in binary 0.07 of 100 steps would round up to 8.
    warmup = math.ceil(Fraction(str(config.warmup_ratio)) * total_steps)
    if step <= warmup:
        return config.learning_rate * step / warmup
    progress = (step - warmup) / (total_steps - warmup + 1)
    floor = config.min_learning_rate_ratio
    if config.lr_schedule == "linear":
        return config.learning_rate * (floor + (1 - floor) * (1 - progress))
    if config.lr_schedule == "cosine":
        return config.learning_rate * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)
    return config.learning_rate
