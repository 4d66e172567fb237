"""A step with bad numbers changes nothing, and the norm of a gradient."""

import math
from collections.abc import Sequence

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches import MicroBatch
from engine.dataset.tokenizing import Example
from engine.training.loss import make_loss
from engine.training.step import StepFunction, global_norm, make_optimizer
from tests.engine.batching import planned_batches
from tests.tiny import lora_model

import numpy as np
import pytest
from mlx.utils import tree_flatten
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float64]]


def some_examples(count: int) -> list[Example]:
    """Random tokens of different lengths; about half of them carry loss."""
    draw = np.random.default_rng(1)
    examples = []
    for line in range(count):
        length = int(draw.integers(4, 24))
        trained = draw.random(length) < 0.5
        trained[0], trained[-1] = False, True
        examples.append(Example(line, draw.integers(0, 300, length).astype(np.int32), trained, True))
    return examples


def split(examples: Sequence[Example], max_tokens: int, max_rows: int) -> list[MicroBatch]:
    return planned_batches(examples, max_tokens, max_rows)


def weights(model: nn.Module) -> Arrays:
    return {k: np.array(v, np.float64) for k, v in tree_flatten(model.trainable_parameters())}


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_bad_numbers_change_nothing(value: float, what: str) -> None:
    """Neither weights nor moments nor the step count of the optimizer; the next step is made."""
    model = lora_model()
    loss, bad = make_loss(model), [False]

    def wrapped(model: nn.Module, *arrays: mx.array) -> mx.array:
        found = loss(model, *arrays)
        if not bad[0]:
            return found
        if what == "loss":
            return found + mx.array(value)
        return found + mx.sqrt(mx.abs(model.layers[0].self_attn.q_proj.lora_b).sum() * 0.0)  # slope is NaN

    config = TrainingConfig()
    optimizer = make_optimizer(model, config)
    step = StepFunction(model, optimizer, wrapped, config.max_grad_norm)
    batches = split(some_examples(3), 32, 1)
    assert step(batches, 1e-3).applied
    before = weights(model)
    moments = {name: np.array(array) for name, array in tree_flatten(optimizer.state)}
    bad[0] = True
    assert not step(batches, 1e-3).applied
    for name, array in weights(model).items():
        assert np.array_equal(array, before[name])
    for name, array in tree_flatten(optimizer.state):
        assert np.array_equal(np.array(array), moments[name]), name
    bad[0] = False
    assert step(batches, 1e-3).applied


def test_the_norm_is_that_of_all_arrays_together() -> None:
    """Against NumPy, with arrays of 16 bits that would overflow on their own."""
    tree = {"a": mx.array([3.0, 4.0]), "b": {"c": mx.array([[300.0, 400.0]], dtype=mx.float16)}}
    assert float(global_norm(tree)) == pytest.approx(math.sqrt(25 + 250_000))
