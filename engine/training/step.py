"""One optimizer step: gradients summed over micro-batches, clipped, applied."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from threading import Event as StopEvent
from typing import Any

from engine.backend import can_compile, compute_dtype, mx, nn
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, filled
from engine.model.lora import LowRankLinear, low_rank_layers, product_form
from engine.threads import adapt_threads
from engine.training.flat_parameters import ParameterVector
from engine.training.loss import LossFunction, batch_arrays
from engine.training.optimizer_state import begin, named_state, restored_state
from engine.training.scores import ScoreFunction
from engine.training.update import update_function

import mlx.optimizers as optim
from mlx.utils import tree_flatten


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did."""

    loss: float
    """Weighted mean of the cross-entropy per token that carries loss before the update, in nats."""
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


class StepFunction:
    """Trains a model one optimizer step at a time.

    Gradient and update are compiled, once for each shape of micro-batch. All of a step is
    handed to the device before anything is waited for: the one wait is for loss and norm,
    and the next step may be handed over before it.
    """

    def __init__(
        self, model: nn.Module, optimizer: optim.Optimizer, loss: LossFunction, max_grad_norm: float
    ) -> None:
        """Begin with the model's parameters as they are and with an optimizer that has made no step."""
        self._model = model
        self._optimizer = optimizer
        parameters = model.trainable_parameters()
        groups = low_rank_layers(model)
        self._layout = ParameterVector(parameters, groups)
        begin(optimizer, self._layout, self._layout.join(parameters))
        layers = [layer for group in groups for _path, layer in group]
        self._gradient = _compiled(_gradient_function(model, layers, loss, self._layout))
        self._update = _compiled(update_function(optimizer, max_grad_norm, self._layout))
        self._vector: mx.array | None = None
        self._parts: list[mx.array] = []
        self.sum_over: Callable[[mx.array], mx.array] | None = None
        """Adds up the same vector of all processes that train together; None where this is the only one."""

    def __call__(self, batches: Sequence[MicroBatch], learning_rate: float) -> StepResult:
        """Make one step on `batches` and wait for it; see `launch`."""
        return self.launch(batches, learning_rate).result()

    def launch(
        self,
        batches: Sequence[MicroBatch],
        learning_rate: float,
        whole: Sequence[MicroBatch] | None = None,
    ) -> PendingStep:
        """Hand one step on `batches` to the device, and wait for nothing but other processes.

        The gradient is that of the weighted mean of the loss: the sum over all tokens of all batches that
        carry loss, each times its weight, divided by the sum of these weights, whatever the batches are.
        Where all weigh the same, that is their number. Numbers that are not finite change nothing.

        Args:
            batches: what this process computes.
            learning_rate: of this step.
            whole: what all processes compute, where there are others.
        """
        adapt_threads()
        whole = batches if whole is None else whole
        weight = math.fsum(batch.weight for batch in whole)
        vector = self._parameters()  # (parameters,) float32, all of the adapter
        loss, gradient = self._sum(vector, batches, mx.array(1 / weight))  # (), (parameters,)
        if self.sum_over:
            total = self.sum_over(mx.concatenate([loss.reshape(1), gradient]))  # (1 + parameters,)
            loss, gradient = total[0], total[1:]
        state = self._optimizer.state
        vector, state, norm = self._update(vector, state, gradient, loss, mx.array(learning_rate))
        self._optimizer.state = state
        self._keep(vector)
        mx.async_eval(loss, norm, self._parts, vector, state)
        return PendingStep(loss, norm, sum(batch.real_tokens for batch in whole))

    def warm_up(self, shapes: Sequence[BatchShape], stop: StopEvent, prompt_weight: float = 0.0) -> None:
        """Trace the gradient for each shape of micro-batch, so that no later step has to, or until `stop`.

        Args:
            shapes: of the run.
            stop: set it to end this.
            prompt_weight: of the run, see `targets_of`.
        """
        if not can_compile():
            return
        high, low = mx.random.state[0].tolist()
        self._model.train()  # a trace stays as it was made: with dropout, and with the loss's gradient
        for shape in takewhile(lambda shape: not stop.is_set(), shapes):
            arrays = batch_arrays(filled(shape, prompt_weight))
            self._gradient(self._parameters(), mx.array(1.0), *arrays)
        mx.random.seed(high << 32 | low)  # dropout drew from it

    def optimizer_arrays(self) -> dict[str, mx.array]:
        """Return the optimizer's state by name, see `named_state`."""
        return named_state(self._optimizer.state, self._layout)

    def restore_optimizer(self, arrays: Mapping[str, mx.array]) -> None:
        """Put back what `optimizer_arrays` returned.

        Raises:
            KeyError: an array is missing.
        """
        self._optimizer.state = restored_state(self._optimizer.state, self._layout, arrays)
        mx.eval(self._optimizer.state)

    def _parameters(self) -> mx.array:
        """Return the vector of the model's parameters, joined anew if somebody has changed them."""
        parameters = self._model.trainable_parameters()
        current = [array for _name, array in tree_flatten(parameters)]
        if self._vector is None or any(a is not b for a, b in zip(current, self._parts, strict=True)):
            self._keep(self._layout.join(parameters))
        assert self._vector is not None
        return self._vector

    def _keep(self, vector: mx.array) -> None:
        """Let the model's parameters be parts of `vector`."""
        self._vector = vector
        self._model.update(self._layout.split(vector))
        self._parts = [array for _name, array in tree_flatten(self._model.trainable_parameters())]

    def _sum(
        self, vector: mx.array, batches: Sequence[MicroBatch], weight: mx.array
    ) -> tuple[mx.array, mx.array]:
        """Return the losses of all tokens times `weight`, and the gradient of that.

        Weighted before the backward pass: the gradients in it are those of a mean, which
        float16 can hold.
        """
        total = mx.array(0.0)
        summed = mx.array(0.0) if batches else mx.zeros_like(vector)
        for batch in batches:
            loss, gradient = self._gradient(vector, weight, *batch_arrays(batch))
            total, summed = total + loss, summed + gradient
            # Begun here, so that one micro-batch's activations are gone before the next one's.
            mx.async_eval(total, summed)
        return total, summed


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that may draw random numbers (for dropout), where MLX can."""
    if not can_compile():
        return function
    # The random state goes in and comes out: a trace would else have its draws built in as constants.
    compiled: Callable[..., Any] = mx.compile(function, inputs=[mx.random.state], outputs=[mx.random.state])
    return compiled


def _gradient_function(
    model: nn.Module, layers: Sequence[LowRankLinear], loss: LossFunction, layout: ParameterVector
) -> Callable[..., tuple[mx.array, mx.array]]:
    """Return (parameters, weight, *batch) -> (weighted loss, its gradient), both vectors float32.

    The parameters are brought into the form that products need all at once, and so are their gradients back.
    """
    loss_at = _loss_function(model, loss)

    def weighted(parameters: Any, weight: mx.array, *batch: mx.array) -> mx.array:
        return weight * loss_at(parameters, *batch)

    gradient_at = mx.value_and_grad(weighted)

    def gradient(vector: mx.array, weight: mx.array, *batch: mx.array) -> tuple[mx.array, mx.array]:
        with product_form(layers):  # around the backward pass too, which may compute layers again
            value, slopes = gradient_at(layout.product_form(vector, compute_dtype()), weight, *batch)
        return value, layout.from_product_form(slopes)

    return gradient


def compiled_scores(model: nn.Module, scores: ScoreFunction) -> ScoreFunction:
    """Return `scores` for validation with `model`, compiled where steps are."""
    compiled = _compiled(_loss_function(model, scores))
    return lambda _model, *batch: compiled(model.trainable_parameters(), *batch)


def _loss_function(model: nn.Module, loss: LossFunction | ScoreFunction) -> Callable[..., mx.array]:
    """Return (parameters, *arrays of a micro-batch) -> what `loss` finds with these parameters of `model`."""

    def loss_at(parameters: Any, *batch: mx.array) -> mx.array:
        kept = model.trainable_parameters()
        model.update(parameters)
        try:
            return loss(model, *batch)
        finally:
            model.update(kept)  # else the arrays of a trace would stay behind in the model

    return loss_at
