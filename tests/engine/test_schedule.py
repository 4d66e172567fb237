"""The learning rate of every step against the formula written out."""

from math import ceil, cos, pi

from engine.config import TrainingConfig
from engine.training.schedule import learning_rate

import pytest

PEAK = 3e-4


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup_ratio", [0.0, 0.03, 0.5])
@pytest.mark.parametrize("total", [1, 2, 50])
def test_warm_up_and_decay(kind: str, warmup_ratio: float, total: int) -> None:
    """Every one of `total` steps: up to the peak, then along the curve, never at or below zero."""
    config = TrainingConfig.parse({"learning_rate": PEAK, "lr_schedule": kind, "warmup_ratio": warmup_ratio})
    warm = ceil(warmup_ratio * total)
    for step in range(1, total + 1):
        left = (total + 1 - step) / (total + 1 - warm)  # 1 at the peak, 0 one step after the end
        shape = {"constant": 1.0, "linear": left, "cosine": 0.5 - 0.5 * cos(pi * left)}[kind]
        expected = PEAK * (step / warm if step <= warm else shape)
        found = learning_rate(step, total, config)
        assert found == pytest.approx(expected, rel=1e-12)
        assert 0 < found <= PEAK


def test_the_peak_is_reached() -> None:
    """The last step of the warm-up has exactly the configured rate."""
    config = TrainingConfig(learning_rate=PEAK, warmup_ratio=0.1)
    assert (
        max(learning_rate(step, 50, config) for step in range(1, 51)) == learning_rate(5, 50, config) == PEAK
    )
