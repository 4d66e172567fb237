"""The optimizer's update on the vector of all trainable parameters: clipped, and only if it is finite."""

from collections.abc import Callable
from typing import Any

from engine.backend import mx
from engine.config import TrainingConfig

import mlx.optimizers as optim
from mlx.utils import tree_map

ADAPTER = "adapter"
"""Name of the vector in the optimizer's state."""
_NORM_PART = 512


def make_optimizer(config: TrainingConfig) -> optim.AdamW:
    """Return AdamW (Loshchilov and Hutter, 2019), bias-corrected."""
    return optim.AdamW(
        learning_rate=config.learning_rate,
        betas=[0.9, 0.999],
        eps=1e-8,
        weight_decay=config.weight_decay,
        bias_correction=True,
    )


def update_function(
    optimizer: optim.AdamW, max_grad_norm: float
) -> Callable[..., tuple[mx.array, Any, mx.array]]:
    """Return a function that makes the optimizer's update, or none where a number is not finite.

    It takes (parameters, optimizer state, gradient, loss, learning rate)
    and returns (parameters, optimizer state, L2 norm of the gradient). Parameters, gradient and both
    moments are float32 vectors of one length, the rest single numbers.
    """

    def update(
        parameters: mx.array, state: Any, gradient: mx.array, loss: mx.array, rate: mx.array
    ) -> tuple[mx.array, Any, mx.array]:
        norm = l2_norm(gradient)
        if max_grad_norm:  # scaled down to that norm, never up (Pascanu et al., 2013)
            gradient = gradient * mx.minimum(1.0, max_grad_norm / norm)
        # A copy of the tree: `apply_gradients` writes into it, and the state before is needed below.
        optimizer.state = tree_map(lambda array: array, state) | {"learning_rate": rate}
        updated = optimizer.apply_gradients({ADAPTER: gradient}, {ADAPTER: parameters})[ADAPTER]
        is_finite = mx.isfinite(norm) & mx.isfinite(loss)
        # Both are there and the device picks one: to ask for the number here would be to wait for the step.
        kept = tree_map(lambda new, old: mx.where(is_finite, new, old), optimizer.state, state)
        return mx.where(is_finite, updated, parameters), kept, norm

    return update


def l2_norm(vector: mx.array) -> mx.array:
    """Return the L2 norm of a float32 vector; summed in parts, so that rounding does not add up."""
    whole = vector.size // _NORM_PART * _NORM_PART
    squares = mx.square(vector)
    parts = squares[:whole].reshape(-1, _NORM_PART).sum(axis=1)  # (parts, 512) -> (parts,)
    return mx.sqrt(parts.sum() + squares[whole:].sum())
