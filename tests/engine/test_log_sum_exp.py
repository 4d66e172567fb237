"""The loss of large vocabularies against float64: what rounds in one long sum does not add up."""

from engine.backend import mx, nn
from engine.model.frozen_linear import FrozenLinear
from engine.training.loss import LossFunction, chunked_loss, log_sum_exp, make_loss

import numpy as np
import pytest

# SmolLM2's and Gemma 3's vocabulary, and some that no part divides, or that are smaller than one.
VOCABULARIES = [49_152, 262_144, 262_144 - 77, 1009, 3]


def drawn(vocabulary: int, count: int = 6) -> mx.array:
    """Return logits of a model that is fairly unsure, where the sum has many summands of one size."""
    return mx.random.normal((count, vocabulary), key=mx.random.key(vocabulary)) * 1.5


def exact(logits: mx.array) -> np.ndarray:
    """Return log-sum-exp of each row in float64."""
    values = np.array(logits, np.float64)
    highest = values.max(axis=-1)
    return np.asarray(np.log(np.exp(values - highest[:, None]).sum(axis=-1)) + highest)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_the_sum_over_the_vocabulary_is_that_of_float64(vocabulary: int) -> None:
    """Within two digits of float32 at the size of the result, and not to one side."""
    logits = drawn(vocabulary)
    error = np.array(log_sum_exp(logits), np.float64)[:, 0] - exact(logits)
    assert np.abs(error).max() <= 2e-6
    assert abs(error.mean()) <= 1e-6


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_its_gradient_is_the_softmax(vocabulary: int) -> None:
    """Through all the parts, to 5e-6 of each share."""
    logits = drawn(vocabulary)
    gradient = np.array(mx.grad(lambda x: log_sum_exp(x).sum())(logits), np.float64)
    shares = np.exp(np.array(logits, np.float64) - exact(logits)[:, None])
    assert np.abs(gradient / shares - 1).max() <= 5e-6
    assert np.abs(gradient.sum(axis=-1) - 1).max() <= 4e-6


def test_extreme_logits_stay_finite_or_say_that_they_are_not() -> None:
    """Very large, very small and masked words; a NaN is not lost."""
    logits = mx.array([[3e4] * 300, [-3e4] * 300, [0.0] * 299 + [-np.inf], [0.0] * 299 + [np.nan]])
    found = np.array(log_sum_exp(logits))[:, 0]
    assert found[:3] == pytest.approx([3e4 + np.log(300), -3e4 + np.log(300), np.log(299)])
    assert np.isnan(found[3])


class Body(nn.Module):  # type: ignore[misc]
    """Hidden states that are its input, and logits that are the sum of two products: a head of its own."""

    def __init__(self, weight: mx.array) -> None:
        super().__init__()
        self.weight = weight

    def __call__(self, tokens: mx.array) -> mx.array:
        return self.weight[tokens % len(self.weight)] @ self.weight.T


def test_every_form_of_the_loss_uses_it() -> None:
    """In chunks under a plain head, and from all logits: both are float64's at 262,144 words."""
    vocabulary, width, count = 262_144, 8, 6
    weight = mx.random.normal((vocabulary, width), key=mx.random.key(3)) / 2
    labels, tokens = mx.arange(count) * 40_000, mx.arange(count)[None]
    hidden = weight[tokens[0]]
    expected = np.array(exact(hidden @ weight.T)).sum() - float((hidden * weight[labels]).sum())

    layer = nn.Linear(width, vocabulary, bias=False)
    layer.weight = weight
    head = FrozenLinear(layer, "resident", mx.float32)
    for with_gradient in (True, False):
        found = float(chunked_loss(hidden, labels, head, with_gradient))
        assert found == pytest.approx(expected, abs=2e-5)

    model = Body(weight)
    loss: LossFunction = make_loss(model)
    places = mx.arange(count)
    found = float(loss(model, tokens[0], places[None], places, places, labels))
    assert found == pytest.approx(expected, abs=2e-5)
