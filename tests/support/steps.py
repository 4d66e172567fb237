"""Examples, steps and losses that several tests of the training's arithmetic compare."""

from collections.abc import Sequence
from typing import Any

from engine.backend import mx, nn
from engine.dataset.batches.micro_batch import MicroBatch
from engine.dataset.batches.tokenize import Example
from tests.support.batching import planned_batches
from tests.support.numpy_llama import Weights

import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.tuner.trainer import default_loss
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float64]]


class GivesTheGradient:
    """Stands for an optimizer: the parameters it returns are the gradient that it is given."""

    def __init__(self) -> None:
        self.state = {"learning_rate": mx.array(0.0)}

    def init(self, _parameters: Any) -> None:
        """It has no moments."""

    def apply_gradients(self, gradient: Any, _parameters: Any) -> Any:
        """Return the gradient for what it would make of the parameters."""
        return gradient


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


def arrays(model: nn.Module) -> Weights:
    return {name: np.array(array, np.float64) for name, array in tree_flatten(model.parameters())}


def mlx_lm_loss(model: nn.Module, example: Example) -> tuple[float, dict[str, Any]]:
    """Return mlx-lm's mean loss of one example's trained stretch, and its gradient."""
    first, last = np.flatnonzero(example.trained)[[0, -1]]
    spans = mx.array([[int(first), int(last)]])
    (loss, _count), gradient = nn.value_and_grad(model, default_loss)(
        model, mx.array(example.tokens)[None], spans
    )
    return float(loss), {name: np.array(array) for name, array in tree_flatten(gradient)}
