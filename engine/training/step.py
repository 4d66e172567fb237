"""One optimizer step: gradients summed over micro-batches, clipped, applied."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from threading import Event as StopEvent
from typing import Any

from engine.backend import can_compile, mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches import MicroBatch, filled
from engine.dataset.cutting import Shape
from engine.training.loss import LossFunction, batch_arrays

import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map, tree_map_with_path


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
    """Tokens that are not padding."""


@dataclass(frozen=True)
class PendingStep:
    """An optimizer step that the device was handed; it keeps nothing of it but two numbers."""

    loss: mx.array
    grad_norm: mx.array
    real_tokens: int

    def result(self) -> StepResult:
        """Wait until the step is done, on any thread, and return what it did."""
        loss, norm = float(self.loss.item()), float(self.grad_norm.item())
        return StepResult(loss, norm, math.isfinite(loss) and math.isfinite(norm), self.real_tokens)


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
    """Trains a model one optimizer step at a time.

    Gradient and update are compiled, once for each shape of micro-batch. All of a step is
    handed to the device before anything is waited for: the one wait is for loss and norm,
    and the next step may be handed over before it.
    """

    def __init__(
        self, model: nn.Module, optimizer: optim.AdamW, loss: LossFunction, max_grad_norm: float
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._gradient = _compiled(_gradient_function(model, loss))
        self._update = _compiled(_update_function(optimizer, max_grad_norm))

    def __call__(self, batches: Sequence[MicroBatch], learning_rate: float) -> StepResult:
        """Make one step on `batches` and wait for it; see `launch`."""
        return self.launch(batches, learning_rate).result()

    def launch(self, batches: Sequence[MicroBatch], learning_rate: float) -> PendingStep:
        """Hand one step on `batches` to the device, and wait for nothing.

        The gradient is the sum over all trained tokens of all batches divided
        by their number, whatever the batches are. Numbers that are not finite change nothing.
        """
        count = sum(batch.trained_tokens for batch in batches)
        parameters = self._model.trainable_parameters()
        loss, gradient = self._sum(parameters, batches, mx.array(1 / count))
        state = self._optimizer.state
        updated, state, norm = self._update(parameters, state, gradient, loss, mx.array(learning_rate))
        self._model.update(updated)
        self._optimizer.state = state
        mx.async_eval(loss, norm, updated, state)
        return PendingStep(loss, norm, sum(batch.real_tokens for batch in batches))

    def warm_up(self, shapes: Sequence[Shape], stop: StopEvent) -> None:
        """Trace the gradient for each shape of micro-batch, so that no later step has to, or until `stop`."""
        if not can_compile():
            return
        high, low = mx.random.state[0].tolist()
        self._model.train()  # a trace stays as it was made: with dropout, and with the loss's gradient
        for shape in takewhile(lambda shape: not stop.is_set(), shapes):
            batch = batch_arrays(filled(shape))
            self._gradient(self._model.trainable_parameters(), mx.array(1.0), *batch)
        mx.random.seed(high << 32 | low)  # dropout drew from it

    def _sum(self, parameters: Any, batches: Sequence[MicroBatch], weight: mx.array) -> tuple[mx.array, Any]:
        """Return the losses of all tokens times `weight`, and the gradient of that.

        Weighted before the backward pass: the gradients in it are those of a mean, which
        float16 can hold.
        """
        total, summed = mx.array(0.0), None
        for batch in batches:
            loss, gradient = self._gradient(parameters, weight, *batch_arrays(batch))
            total = total + loss
            summed = gradient if summed is None else tree_map(mx.add, summed, gradient)
            # Begun here, so that one micro-batch's activations are gone before the next one's.
            mx.async_eval(total, summed)
        return total, summed


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that may draw random numbers (for dropout), where MLX can."""
    if not can_compile():
        return function
    compiled: Callable[..., Any] = mx.compile(function, inputs=[mx.random.state], outputs=[mx.random.state])
    return compiled


def _gradient_function(model: nn.Module, loss: LossFunction) -> Callable[..., tuple[mx.array, Any]]:
    """Return (parameters, weight, tokens, targets, labels) -> (weighted loss, its gradient)."""
    loss_at = _loss_function(model, loss)

    def weighted(parameters: Any, weight: mx.array, *batch: mx.array) -> mx.array:
        return weight * loss_at(parameters, *batch)

    gradient: Callable[..., tuple[mx.array, Any]] = mx.value_and_grad(weighted)
    return gradient


def compiled_loss(model: nn.Module, loss: LossFunction) -> LossFunction:
    """Return `loss` for validation with `model`, compiled where steps are."""
    compiled = _compiled(_loss_function(model, loss))
    return lambda _model, *batch: compiled(model.trainable_parameters(), *batch)


def _loss_function(model: nn.Module, loss: LossFunction) -> Callable[..., mx.array]:
    """Return (parameters, tokens, targets, labels) -> summed loss of `model` with these parameters."""

    def loss_at(parameters: Any, *batch: mx.array) -> mx.array:
        kept = model.trainable_parameters()
        model.update(parameters)
        try:
            return loss(model, *batch)
        finally:
            model.update(kept)  # else the arrays of a trace would stay behind in the model

    return loss_at


def _update_function(
    optimizer: optim.AdamW, max_grad_norm: float
) -> Callable[..., tuple[Any, Any, mx.array]]:
    """Return a function that makes the optimizer's update, or none where a number is not finite.

    It takes (parameters, optimizer state, gradient, loss, learning rate)
    and returns (parameters, optimizer state, L2 norm of the gradient).
    """

    def update(
        parameters: Any, state: Any, gradient: Any, loss: mx.array, rate: mx.array
    ) -> tuple[Any, Any, mx.array]:
        norm = global_norm(gradient)
        if max_grad_norm:
            factor = mx.minimum(1.0, max_grad_norm / norm)
            gradient = tree_map(lambda g: g * factor, gradient)
        optimizer.state = tree_map(lambda array: array, state) | {"learning_rate": rate}
        updated = optimizer.apply_gradients(gradient, parameters)
        is_finite = mx.isfinite(norm) & mx.isfinite(loss)
        kept = tree_map(lambda new, old: mx.where(is_finite, new, old), updated, parameters)
        before = dict(tree_flatten(state))  # a state that was loaded lacks the empty branches
        kept_state = tree_map_with_path(
            lambda path, new: mx.where(is_finite, new, before.get(path, new)), optimizer.state
        )
        return kept, kept_state, norm

    return update


def global_norm(gradient: Any) -> mx.array:
    """Return the L2 norm over all arrays of a gradient tree, in float32."""
    return mx.sqrt(sum(mx.square(g.astype(mx.float32)).sum() for _path, g in tree_flatten(gradient)))
