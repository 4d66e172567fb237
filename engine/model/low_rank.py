"""Products with frozen matrices and two small ones each, which keep little for the backward pass.

The factors of layers that have one input come together: Aᵀ of all below each other, (ranks, inputs),
and scale B of each, (rank, outputs), in the dtype of x.
"""

from collections.abc import Sequence

from engine.backend import mx
from engine.model.frozen_linear import FrozenLinear


def project(x: mx.array, linears: Sequence[FrozenLinear], factors: Sequence[mx.array]) -> list[mx.array]:
    """Return x Wᵀ + bias + (x A) (scale B) of each layer for the same x (..., inputs).

    Differentiable in x and the factors. Kept for the backward pass: x and the products with A (rank
    numbers a row).

    Args:
        x: (..., inputs).
        linears: W and bias of each layer.
        factors: the joined Aᵀ, and scale B of each layer.
    """

    @mx.custom_function  # type: ignore[untyped-decorator]
    def apply(x: mx.array, a: mx.array, *bs: mx.array) -> tuple[mx.array, ...]:
        return forward(x, linears, a, bs)

    @apply.vjp  # type: ignore[untyped-decorator]
    def apply_vjp(
        primals: Sequence[mx.array], gradients: Sequence[mx.array], outputs: Sequence[mx.array]
    ) -> tuple[mx.array, ...]:
        x, a, *bs = primals
        return backward(x, linears, a, bs, gradients[:-1], outputs[-1])

    return list(apply(x, *factors)[:-1])


def forward(
    x: mx.array, linears: Sequence[FrozenLinear], a: mx.array, bs: Sequence[mx.array]
) -> tuple[mx.array, ...]:
    """Return the output of each layer, and last the joined (x A)ᵀ of shape (ranks, rows).

    The products with all A are one product. It is transposed, so that each layer's part
    lies in one piece.

    Args:
        x: (..., inputs).
        linears: W and bias of each layer.
        a: the joined Aᵀ, (ranks, inputs).
        bs: scale B of each layer.
    """
    rows = x.reshape(-1, x.shape[-1])  # (rows, inputs)
    inner = a @ rows.T  # (ranks, inputs) (inputs, rows) -> (ranks, rows)
    outputs = []
    for linear, part, b in zip(linears, parts(inner, bs), bs, strict=True):
        # (rows, rank) (rank, outputs) first: the large product adds to it without another pass over y.
        y = linear.add_forward(part.T @ b, rows)
        outputs.append(y.reshape(*x.shape[:-1], -1))
    return (*outputs, inner)


def backward(
    x: mx.array,
    linears: Sequence[FrozenLinear],
    a: mx.array,
    bs: Sequence[mx.array],
    gradients: Sequence[mx.array],
    inner: mx.array,
) -> tuple[mx.array, ...]:
    """Return the gradients of x, of the joined Aᵀ and of each layer's scale B.

    Args:
        x: input, (..., inputs).
        linears: what `forward` applied.
        a: the joined Aᵀ, (ranks, inputs).
        bs: scale B of each layer.
        gradients: dy of each layer.
        inner: the last output of `forward`.
    """
    dx, inner_gradient = input_gradient(linears, a, bs, gradients)
    rest = factor_gradients(x, bs, gradients, inner, inner_gradient)
    # Else MLX may put off the small products and hold every layer's x and dy until then.
    (dx,) = mx.depends([dx], rest)
    return (dx.reshape(x.shape), *rest)


def input_gradient(
    linears: Sequence[FrozenLinear], a: mx.array, bs: Sequence[mx.array], gradients: Sequence[mx.array]
) -> tuple[mx.array, mx.array]:
    """Return dx = dy W + G Aᵀ with G = dy (scale B)ᵀ, summed over the layers, (rows, inputs), and all Gᵀ."""
    dys = _rows(gradients)  # (rows, outputs) each
    # Gᵀ = (scale B) dyᵀ of each layer, below each other: (ranks, rows).
    inner_gradient = mx.concatenate([b @ dy.T for b, dy in zip(bs, dys, strict=True)])
    dx = inner_gradient.T @ a  # (rows, ranks) (ranks, inputs)
    for linear, dy in zip(linears, dys, strict=True):
        dx = linear.add_backward(dx, dy)
    return dx, inner_gradient


def factor_gradients(
    x: mx.array,
    bs: Sequence[mx.array],
    gradients: Sequence[mx.array],
    inner: mx.array,
    inner_gradient: mx.array,
) -> list[mx.array]:
    """Return dAᵀ = Gᵀ x of all layers, and d(scale B) = (x A)ᵀ dy of each, for G of `input_gradient`."""
    # (ranks, rows) (rows, inputs): one product for all layers.
    da = inner_gradient @ x.reshape(-1, x.shape[-1])
    return [da, *(part @ dy for part, dy in zip(parts(inner, bs), _rows(gradients), strict=True))]


def _rows(arrays: Sequence[mx.array]) -> list[mx.array]:
    """Return arrays (..., width) as (rows, width)."""
    return [array.reshape(-1, array.shape[-1]) for array in arrays]


def parts(joined: mx.array, bs: Sequence[mx.array]) -> list[mx.array]:
    """Cut rows (ranks, ...) into the part of each layer, whose rank is that of its B."""
    found, begin = [], 0
    for b in bs:
        found.append(joined[begin : begin + b.shape[0]])
        begin += b.shape[0]
    return found
