"""Fifty optimizer steps against float64 NumPy from loss to weights, and against mlx's AdamW used straight."""

import math
from functools import partial
from typing import Any

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, micro_batches
from engine.dataset.batches.tokenize import Example
from engine.training.loss import batch_arrays, make_loss
from engine.training.schedule import learning_rate
from engine.training.step import StepFunction, StepResult
from engine.training.update import make_optimizer
from tests.support.tiny import lora_model

import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map
from numpy.typing import NDArray

STEPS, WORDS = 50, 12
# Learning rates so large that the schedule shows in the weights.
COMBINATIONS = [
    {"lr_schedule": "cosine", "warmup_ratio": 0.1, "weight_decay": 0.0, "max_grad_norm": 0.2},
    {"lr_schedule": "linear", "warmup_ratio": 0.07, "weight_decay": 0.3, "max_grad_norm": 0.0},
    {"lr_schedule": "constant", "warmup_ratio": 0.0, "weight_decay": 0.1, "max_grad_norm": 0.1},
]
combinations = pytest.mark.parametrize("values", COMBINATIONS, ids=lambda values: values["lr_schedule"])
Array = NDArray[np.float64]


class Bigrams(nn.Module):  # type: ignore[misc]
    """Scores of the next word by the last word alone: a model whose gradient fits in two lines."""

    def __init__(self) -> None:
        super().__init__()
        self.table = mx.random.normal((WORDS, WORDS), key=mx.random.key(1))

    def __call__(self, tokens: mx.array) -> mx.array:
        return self.table[tokens]


def examples_of(step: int) -> list[Example]:
    """One to three examples of different lengths; about half of their tokens carry loss."""
    draw = np.random.default_rng([9, step])
    examples = []
    for line in range(int(draw.integers(1, 4))):
        length = int(draw.integers(2, 16))
        trained = draw.random(length) < 0.5
        trained[0], trained[-1] = False, True
        examples.append(Example(line, draw.integers(0, WORDS, length).astype(np.int32), trained, True))
    return examples


def run(model: nn.Module, config: TrainingConfig, rows: int) -> list[StepResult]:
    """Make the steps with the engine, in micro-batches of at most `rows` rows."""
    step = StepFunction(model, make_optimizer(config), make_loss(model), config.max_grad_norm)
    return [
        step(batches_of(number, rows), learning_rate(number, STEPS, config)) for number in range(1, STEPS + 1)
    ]


def batches_of(step: int, rows: int) -> list[MicroBatch]:
    return micro_batches(examples_of(step), [BatchShape.full(rows, 16, 15 * rows)])


def bigram_loss_and_gradient(table: Array, examples: list[Example]) -> tuple[float, Array]:
    """Mean cross-entropy over the trained tokens, in nats, and its gradient: softmax less one."""
    loss, gradient, count = 0.0, np.zeros_like(table), 0
    for example in examples:
        for position in np.flatnonzero(example.trained):
            last, word = example.tokens[position - 1], example.tokens[position]
            share = np.exp(table[last]) / np.exp(table[last]).sum()
            loss -= math.log(share[word])
            gradient[last] += share
            gradient[last, word] -= 1
            count += 1
    return loss / count, gradient / count


def rate_of(step: int, values: dict[str, Any], peak: float) -> float:
    """The schedule by hand: 5, 4 and 0 steps of warm-up out of 50, then down to zero at step 51."""
    warm = {"cosine": 5, "linear": 4, "constant": 0}[values["lr_schedule"]]
    if step <= warm:
        return peak * step / warm
    left = (STEPS + 1 - step) / (STEPS + 1 - warm)
    return (
        peak
        * {"cosine": (1 - math.cos(math.pi * left)) / 2, "linear": left, "constant": 1.0}[
            values["lr_schedule"]
        ]
    )


@combinations
def test_fifty_steps_follow_the_formulas(values: dict[str, Any]) -> None:
    """Loss, norm and every weight: Loshchilov and Hutter's AdamW behind a clipped mean gradient."""
    model = Bigrams()
    table = np.array(model.table, np.float64)
    first, second = np.zeros_like(table), np.zeros_like(table)
    results = run(model, TrainingConfig.parse({"learning_rate": 0.05, **values}), rows=2)
    clipped = 0
    for number, result in enumerate(results, start=1):
        loss, gradient = bigram_loss_and_gradient(table, examples_of(number))
        norm = float(np.sqrt((gradient**2).sum()))
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.grad_norm == pytest.approx(norm, rel=1e-4)
        if 0 < values["max_grad_norm"] < norm:
            gradient, clipped = gradient * values["max_grad_norm"] / norm, clipped + 1
        rate = rate_of(number, values, 0.05)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        update = first / (1 - 0.9**number) / (np.sqrt(second / (1 - 0.999**number)) + 1e-8)
        table = table - rate * (update + values["weight_decay"] * table)
    assert np.abs(np.array(model.table) - table).max() < 1e-4
    assert (clipped > 0) == (values["max_grad_norm"] > 0)


def mlx_schedule(values: dict[str, Any], peak: float) -> Any:
    """The same learning rates from mlx's own schedules, by the number of the step from 1."""
    warm = {"cosine": 5, "linear": 4, "constant": 0}[values["lr_schedule"]]
    after = {
        "cosine": optim.cosine_decay(peak, STEPS + 1 - warm),
        "linear": optim.linear_schedule(peak, 0.0, STEPS + 1 - warm),
        "constant": lambda step: mx.array(peak),
    }[values["lr_schedule"]]
    if not warm:
        return after
    return optim.join_schedules([optim.linear_schedule(0.0, peak, warm), after], [warm])


@combinations
def test_fifty_steps_of_a_llama_are_those_of_mlx(values: dict[str, Any]) -> None:
    """mlx's AdamW, schedule and clip_grad_norm on the whole batch at once, against our micro-batches."""
    config = TrainingConfig.parse({"learning_rate": 1e-3, **values})
    ours, theirs = lora_model(), lora_model()
    run(ours, config, rows=1)
    schedule = mlx_schedule(values, 1e-3)
    optimizer = optim.AdamW(1e-3, weight_decay=config.weight_decay, bias_correction=True)
    gradient_of = nn.value_and_grad(theirs, make_loss(theirs))
    for number in range(1, STEPS + 1):
        (batch,) = batches_of(number, rows=9)
        _loss, gradient = gradient_of(theirs, *batch_arrays(batch))
        gradient = tree_map(partial(mx.multiply, 1 / batch.trained_tokens), gradient)
        if config.max_grad_norm:
            gradient, _norm = optim.clip_grad_norm(gradient, config.max_grad_norm)
        optimizer.learning_rate = schedule(mx.array(number))
        optimizer.update(theirs, gradient)
        mx.eval(theirs.parameters(), optimizer.state)
    start = dict(tree_flatten(lora_model().trainable_parameters()))
    for (name, found), (_name, expected) in zip(
        tree_flatten(ours.trainable_parameters()), tree_flatten(theirs.trainable_parameters()), strict=True
    ):
        moved = float(mx.abs(expected - start[name]).max())
        assert moved > 1e-3 and float(mx.abs(found - expected).max()) < 0.02 * moved, name


@combinations
def test_the_schedule_is_that_of_mlx(values: dict[str, Any]) -> None:
    """All fifty rates, from the first of the warm-up to the last above zero."""
    config = TrainingConfig.parse({"learning_rate": 3e-4, **values})
    schedule = mlx_schedule(values, 3e-4)
    for number in range(1, STEPS + 1):
        expected = float(schedule(mx.array(number)))
        assert learning_rate(number, STEPS, config) == pytest.approx(expected, rel=1e-4, abs=1e-9)
