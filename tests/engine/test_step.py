"""One optimizer step against gradients and AdamW written out in NumPy."""

import math
from collections.abc import Sequence
from typing import Any

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches import MicroBatch, micro_batches
from engine.dataset.tokenizing import Example
from engine.training.loss import make_loss
from engine.training.step import StepFunction, global_norm, make_optimizer
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
    return micro_batches(examples, (8, 16, 24), max_tokens, max_rows)


def weights(model: nn.Module) -> Arrays:
    return {k: np.array(v, np.float64) for k, v in tree_flatten(model.trainable_parameters())}


def stepper(model: nn.Module, **values: Any) -> StepFunction:
    config = TrainingConfig.parse({"max_grad_norm": 0, **values})
    return StepFunction(model, make_optimizer(model, config), make_loss(model), config.max_grad_norm)


@pytest.mark.parametrize(
    ("max_tokens", "max_rows", "count"), [(24, 1, 6), (10_000, 2, 3), (48, 6, 3), (60, 3, 3)]
)
def test_a_step_does_not_depend_on_its_micro_batches(max_tokens: int, max_rows: int, count: int) -> None:
    """Six examples at once, one by one, or mixed: loss, norm and update agree."""
    examples = some_examples(6)
    whole, parts = split(examples, 10_000, 6), split(examples, max_tokens, max_rows)
    assert len(whole) == 1 and len(parts) >= count
    results, updated = [], []
    for batches in (whole, parts):
        model = lora_model()
        results.append(stepper(model)(batches, 1e-2))
        updated.append(weights(model))
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-5)
    assert results[0].grad_norm == pytest.approx(results[1].grad_norm, rel=1e-4)
    assert results[0].real_tokens == results[1].real_tokens == sum(len(e.tokens) for e in examples)
    assert results[1].padded_tokens == sum(batch.tokens.size for batch in parts)
    for name, array in updated[0].items():
        # AdamW's first update is the gradient's sign where it is not tiny, hence the absolute tolerance.
        assert np.abs(array - updated[1][name]).max() < 2e-4, name


def gradient_of(model: nn.Module, batches: list[MicroBatch]) -> Arrays:
    """Mean gradient per trained token, each micro-batch on its own."""
    total: Arrays = {}
    loss = make_loss(model)
    for batch in batches:
        arrays = (mx.array(batch.tokens), mx.array(batch.targets), mx.array(batch.labels))
        _value, gradient = nn.value_and_grad(model, loss)(model, *arrays)
        for name, array in tree_flatten(gradient):
            total[name] = total.get(name, 0) + np.array(array, np.float64)
    count = sum(len(batch.labels) for batch in batches)
    return {name: array / count for name, array in total.items()}


def l2(arrays: Arrays) -> float:
    return math.sqrt(sum(float((array**2).sum()) for array in arrays.values()))


@pytest.mark.parametrize("max_grad_norm", [0, 0.5, 1e3])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_twenty_steps_follow_adamw_with_bias_correction(max_grad_norm: float, weight_decay: float) -> None:
    """Loshchilov and Hutter's Algorithm 2 in float64, with the gradient scaled to the norm first."""
    model = lora_model()
    step = stepper(model, max_grad_norm=max_grad_norm, weight_decay=weight_decay)
    examples = some_examples(40)
    expected = weights(model)
    first = {name: np.zeros_like(array) for name, array in expected.items()}
    second = {name: np.zeros_like(array) for name, array in expected.items()}
    for number in range(1, 21):
        batches = split(examples[2 * number - 2 : 2 * number], 32, 1)
        rate = 1e-3 * number / 20
        gradient = gradient_of(model, batches)
        norm = l2(gradient)
        result = step(batches, rate)
        assert result.applied and result.grad_norm == pytest.approx(norm, rel=1e-4)
        if max_grad_norm and norm > max_grad_norm:
            gradient = {name: array * max_grad_norm / norm for name, array in gradient.items()}
        for name, g in gradient.items():
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g * g
            update = (first[name] / (1 - 0.9**number)) / (np.sqrt(second[name] / (1 - 0.999**number)) + 1e-8)
            expected[name] = expected[name] * (1 - rate * weight_decay) - rate * update
    for name, array in weights(model).items():
        assert np.abs(array - expected[name]).max() < 1e-5, name


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
