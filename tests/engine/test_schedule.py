"""The learning rate of every step against the formula written out."""

from math import cos, pi

from engine.backend import mx
from engine.config import TrainingConfig
from engine.training.schedule import learning_rate

import mlx.optimizers as optim
import pytest

PEAK = 3e-4
# (ratio, steps of the run, steps of the warm-up): what a user counts, rounded up.
WARM_UPS = [
    (0.0, 1, 0),
    (0.0, 50, 0),
    (0.03, 1, 1),
    (0.03, 50, 2),
    (0.07, 100, 7),
    (0.1, 50, 5),
    (0.14, 50, 7),
    (0.29, 100, 29),
    (0.5, 1, 1),
    (0.5, 2, 1),
    (1e-5, 100, 1),
]


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("warmup_ratio", "total", "warm"), WARM_UPS)
def test_warm_up_and_decay(kind: str, warmup_ratio: float, total: int, warm: int) -> None:
    """Every one of `total` steps: up to the peak, then along the curve, never at or below zero."""
    config = TrainingConfig.parse({"learning_rate": PEAK, "lr_schedule": kind, "warmup_ratio": warmup_ratio})
    for step in range(1, total + 1):
        left = (total + 1 - step) / (total + 1 - warm)  # 1 at the peak, 0 one step after the end
        shape = {"constant": 1.0, "linear": left, "cosine": 0.5 - 0.5 * cos(pi * left)}[kind]
        expected = PEAK * (step / warm if step <= warm else shape)
        found = learning_rate(step, total, config)
        assert found == pytest.approx(expected, rel=1e-12)
        assert 0 < found <= PEAK


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("floor", [0.1, 1.0])
@pytest.mark.parametrize(("warmup_ratio", "total", "warm"), WARM_UPS)
def test_the_floor(kind: str, floor: float, warmup_ratio: float, total: int, warm: int) -> None:
    """The decay ends there in place of zero; the warm-up is what it is without one."""
    values = {"learning_rate": PEAK, "lr_schedule": kind, "warmup_ratio": warmup_ratio}
    config = TrainingConfig.parse({**values, "min_learning_rate_ratio": floor})
    for step in range(1, total + 1):
        without = learning_rate(step, total, TrainingConfig.parse(values))
        found = learning_rate(step, total, config)
        if step <= warm or kind == "constant":
            assert found == without
        else:
            assert found == pytest.approx(floor * PEAK + (1 - floor) * without, rel=1e-12)
            assert floor * PEAK <= found * (1 + 1e-12) and found <= PEAK * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_the_floor_is_that_of_mlx(kind: str) -> None:
    """Its schedules take an end, which comes one step after the last of 50."""
    config = TrainingConfig.parse(
        {"learning_rate": PEAK, "lr_schedule": kind, "warmup_ratio": 0, "min_learning_rate_ratio": 0.2}
    )
    decay = (
        optim.cosine_decay(PEAK, 51, 0.2 * PEAK)
        if kind == "cosine"
        else optim.linear_schedule(PEAK, 0.2 * PEAK, 51)
    )
    for step in range(1, 51):
        assert learning_rate(step, 50, config) == pytest.approx(float(decay(mx.array(step))), rel=1e-4)


@pytest.mark.parametrize(("warmup_ratio", "total", "warm"), [row for row in WARM_UPS if row[2]])
def test_the_peak_is_reached(warmup_ratio: float, total: int, warm: int) -> None:
    """The last step of the warm-up has exactly the configured rate, and no step a higher one."""
    config = TrainingConfig(learning_rate=PEAK, warmup_ratio=warmup_ratio)
    rates = [learning_rate(step, total, config) for step in range(1, total + 1)]
    assert rates[warm - 1] == max(rates) == PEAK
    assert all(rate < PEAK for rate in rates[: warm - 1])
