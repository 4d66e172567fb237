"""A step with bad numbers changes nothing, and the norm of a gradient."""

import math

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.training.loss import make_loss
from engine.training.step import StepFunction
from engine.training.update import l2_norm, make_optimizer
from tests.support.steps import some_examples, split, weights
from tests.support.tiny import RUN, lora_model

import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten


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
    optimizer = make_optimizer(config)
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


@pytest.mark.parametrize("count", [1, 5, 4096, 3_000_001])
def test_the_norm_is_exact_for_long_vectors(count: int) -> None:
    """Against float64, to a few units in the last place: rounding does not add up."""
    vector = np.random.default_rng(0).normal(3.0, 1.0, count).astype(np.float32)
    expected = math.sqrt((vector.astype(np.float64) ** 2).sum())
    assert float(l2_norm(mx.array(vector))) == pytest.approx(expected, rel=1e-6)


def test_the_vector_is_joined_anew_when_somebody_changes_the_model() -> None:
    """As a roll-back does: the next step begins from there."""
    model, other = lora_model(), lora_model()
    batches = split(some_examples(3), 32, 1)
    step, fresh = (StepFunction(m, make_optimizer(RUN), make_loss(m), 1.0) for m in (model, other))
    kept = {name: mx.array(array) for name, array in tree_flatten(model.trainable_parameters())}
    first = step(batches, 1e-3)
    model.update(tree_unflatten(list(kept.items())))
    assert step(batches, 0.0).loss == first.loss == fresh(batches, 1e-3).loss
    for name, array in weights(model).items():
        assert np.array_equal(array, np.array(kept[name])), name
    assert any(not np.array_equal(array, np.array(kept[name])) for name, array in weights(other).items())


def test_the_optimizers_arrays_have_the_parameters_names_and_can_be_put_back() -> None:
    """A step after that is the step that would have been made, bit for bit."""
    model, other = lora_model(), lora_model()
    step, resumed = (StepFunction(m, make_optimizer(RUN), make_loss(m), 1.0) for m in (model, other))
    batches = split(some_examples(3), 32, 1)
    for _step in range(2):
        step(batches, 1e-3)
    arrays = {name: mx.array(array) for name, array in step.optimizer_arrays().items()}
    shapes = {name: array.shape for name, array in tree_flatten(model.trainable_parameters())}
    expected = {f"{name}.{kind}": shape for name, shape in shapes.items() for kind in "mv"}
    expected |= {"step": (), "learning_rate": ()}
    assert {name: array.shape for name, array in arrays.items()} == expected
    resumed.restore_optimizer(arrays)
    other.update(tree_map(mx.array, model.trainable_parameters()))
    assert step(batches, 1e-3) == resumed(batches, 1e-3)
    assert all(np.array_equal(array, weights(other)[name]) for name, array in weights(model).items())
