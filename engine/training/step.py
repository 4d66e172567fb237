"""One optimizer step: gradients summed over micro-batches, clipped, applied."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.backend import mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches import MicroBatch
from engine.training.loss import LossFunction, batch_arrays

import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did."""

    loss: float
    """Mean cross-entropy per trained token before the update, in nats."""
    grad_norm: float
    """L2 norm of the mean gradient before clipping."""
    applied: bool
    """False if loss or gradient was not finite: nothing was changed then."""
    real_tokens: int
    padded_tokens: int


def make_optimizer(model: nn.Module, config: TrainingConfig) -> optim.AdamW:
    """Return AdamW (Loshchilov and Hutter, 2019; bias-corrected) ready for the trainable parameters."""
    optimizer = optim.AdamW(
        learning_rate=config.learning_rate,
        betas=[0.9, 0.999],
        eps=1e-8,
        weight_decay=config.weight_decay,
        bias_correction=True,
    )
    optimizer.init(model.trainable_parameters())
    return optimizer


class StepFunction:
    """Trains a model one optimizer step at a time."""

    def __init__(
        self, model: nn.Module, optimizer: optim.AdamW, loss: LossFunction, max_grad_norm: float
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._gradient = nn.value_and_grad(model, loss)
        self._max_grad_norm = max_grad_norm

    def __call__(self, batches: Sequence[MicroBatch], learning_rate: float) -> StepResult:
        """Make one step on `batches`.

        The gradient is the sum over all trained tokens of all batches divided
        by their number, whatever the batches are.
        """
        loss, gradient = self._sum(batches)
        count = sum(len(batch.labels) for batch in batches)
        gradient = tree_map(lambda g: g / count, gradient)
        norm = global_norm(gradient)
        mx.eval(loss, norm)
        mean_loss, grad_norm = float(loss.item()) / count, float(norm.item())
        finite = math.isfinite(mean_loss) and math.isfinite(grad_norm)
        if finite:
            self._apply(gradient, grad_norm, learning_rate)
        return StepResult(
            mean_loss,
            grad_norm,
            finite,
            sum(batch.real_tokens for batch in batches),
            sum(batch.tokens.size for batch in batches),
        )

    def _sum(self, batches: Sequence[MicroBatch]) -> tuple[mx.array, Any]:
        total: mx.array | None = None
        summed: Any = None
        for batch in batches:
            loss, gradient = self._gradient(self._model, *batch_arrays(batch))
            total = loss if total is None else total + loss
            summed = gradient if summed is None else tree_map(mx.add, summed, gradient)
            # Evaluated here so that one micro-batch's activations are gone before the next.
            mx.eval(total, summed)
        assert total is not None
        return total, summed

    def _apply(self, gradient: Any, grad_norm: float, learning_rate: float) -> None:
        if self._max_grad_norm and grad_norm > self._max_grad_norm:
            factor = self._max_grad_norm / grad_norm
            gradient = tree_map(lambda g: g * factor, gradient)
        self._optimizer.learning_rate = learning_rate
        self._optimizer.update(self._model, gradient)
        mx.eval(self._model.trainable_parameters(), self._optimizer.state)


def global_norm(gradient: Any) -> mx.array:
    """Return the L2 norm over all arrays of a gradient tree, in float32."""
    return mx.sqrt(sum(mx.square(g.astype(mx.float32)).sum() for _path, g in tree_flatten(gradient)))
