"""The optimizer's update of all trainable parameters: clipped, and only if it is finite."""

from collections.abc import Callable
from typing import Any

from engine.backend import mx
from engine.config import TrainingConfig
from engine.training.flat_parameters import ParameterVector
from engine.training.optimizer_state import ADAPTER, takes_matrices

import mlx.optimizers as optim
from mlx.utils import tree_map

_NORM_PART = 512


class LoraMuon(optim.Muon):  # type: ignore[misc]
    """Muon (Jordan et al., 2024) for LoRA's factors, with decoupled weight decay (Liu et al., 2025).

    It scales the update of a matrix (outputs, inputs) by sqrt(max(1, outputs / inputs)). MLX's takes
    matrices of that form; LoRA's A (inputs, rank) and B (rank, outputs) are turned for it.
    """

    def __init__(self, learning_rate: float, weight_decay: float) -> None:
        """Take the momentum and the five Newton-Schulz steps of the original."""
        super().__init__(learning_rate, weight_decay=0.0)
        self._decay = weight_decay

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict[str, mx.array]) -> mx.array:
        """Return the matrix after an update by a gradient of its form; `state` has that form, too."""
        if self._decay:
            parameter = parameter * (1 - self.learning_rate * self._decay)
        turned = {"v": state["v"].T}
        updated: mx.array = super().apply_single(gradient.T, parameter.T, turned)
        state["v"] = turned["v"].T
        return updated.T


def make_optimizer(config: TrainingConfig) -> optim.Optimizer:
    """Return the optimizer of a run, with the constants of its paper and decoupled weight decay.

    - adamw: Loshchilov and Hutter, 2019, bias-corrected.
    - adafactor: Shazeer and Stern, 2018, with the learning rate of the schedule, whatever the weights' size,
      and without a first moment, as `Trainer` of transformers makes it.
    - lion: Chen et al., 2023.
    - muon: see `LoraMuon`.
    """
    rate, decay = config.learning_rate, config.weight_decay
    match config.optimizer:
        case "adamw":
            return optim.AdamW(rate, betas=[0.9, 0.999], eps=1e-8, weight_decay=decay, bias_correction=True)
        case "adafactor":
            return optim.Adafactor(
                rate, weight_decay=decay, scale_parameter=False, relative_step=False, warmup_init=False
            )
        case "lion":
            return optim.Lion(rate, betas=[0.9, 0.99], weight_decay=decay)
        case "muon":
            return LoraMuon(rate, decay)


def update_function(
    optimizer: optim.Optimizer, max_grad_norm: float, layout: ParameterVector
) -> Callable[..., tuple[mx.array, Any, mx.array]]:
    """Return a function that makes the optimizer's update, or none where a number is not finite.

    It takes (parameters, optimizer state, gradient, loss, learning rate)
    and returns (parameters, optimizer state, L2 norm of the gradient). Parameters and gradient
    are float32 vectors of one length; what the optimizer keeps is float32, too.
    """
    is_of_matrices = takes_matrices(optimizer)

    def updated(gradient: mx.array, parameters: mx.array) -> mx.array:
        if not is_of_matrices:
            vector: mx.array = optimizer.apply_gradients({ADAPTER: gradient}, {ADAPTER: parameters})[ADAPTER]
            return vector
        both = {ADAPTER: layout.split(gradient)}, {ADAPTER: layout.split(parameters)}
        return layout.join(optimizer.apply_gradients(*both)[ADAPTER])

    def update(
        parameters: mx.array, state: Any, gradient: mx.array, loss: mx.array, rate: mx.array
    ) -> tuple[mx.array, Any, mx.array]:
        norm = l2_norm(gradient)
        if max_grad_norm:  # scaled down to that norm, never up (Pascanu et al., 2013)
            gradient = gradient * mx.minimum(1.0, max_grad_norm / norm)
        # A copy of the tree: `apply_gradients` writes into it, and the state before is needed below.
        optimizer.state = tree_map(lambda array: array, state) | {"learning_rate": rate}
        moved = updated(gradient, parameters)
        is_finite = mx.isfinite(norm) & mx.isfinite(loss)
        # Both are there and the device picks one: to ask for the number here would be to wait for the step.
        kept = tree_map(lambda new, old: mx.where(is_finite, new, old), optimizer.state, state)
        return mx.where(is_finite, moved, parameters), kept, norm

    return update


def l2_norm(vector: mx.array) -> mx.array:
    """Return the L2 norm of a float32 vector; summed in parts, so that rounding does not add up."""
    whole = vector.size // _NORM_PART * _NORM_PART
    squares = mx.square(vector)
    parts = squares[:whole].reshape(-1, _NORM_PART).sum(axis=1)  # (parts, 512) -> (parts,)
    return mx.sqrt(parts.sum() + squares[whole:].sum())
