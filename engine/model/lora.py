"""LoRA layers whose products run in the compute dtype and which keep little for the backward pass.

y = x Wᵀ + bias + scale (x A) B, with W frozen (Hu et al., 2021, "LoRA"). The
masters A (inputs, rank) and B (rank, outputs) are float32, as are their gradients;
for the products they are cast to x's dtype. mlx-lm's `LoRALinear` multiplies in
float32 and so keeps a float32 copy of every input.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from engine.backend import mx, nn
from engine.model.frozen_linear import FrozenLinear
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm


class LowRankLinear(nn.Module):  # type: ignore[misc]
    """A frozen matrix W and the product of two small ones: what LoRA's and DoRA's layers share."""

    def __init__(
        self, linear: FrozenLinear, lora_a: mx.array, lora_b: mx.array, scale: float, dropout: float
    ) -> None:
        super().__init__()
        self.linear = linear
        self.lora_a = lora_a
        self.lora_b = lora_b
        self.scale = scale
        self.dropout = nn.Dropout(p=dropout)
        self.drops = dropout > 0
        self.shared: SharedInput | None = None
        """The projections that are computed together with this one; None computes it alone."""

    def low_rank_sum(self, x: mx.array) -> mx.array:
        """Return x Wᵀ + bias + scale (x A) B for x (..., inputs), of shape (..., outputs)."""
        if self.drops:
            a, b = self.factors(x.dtype)
            return self.linear(x) + (self.dropout(x) @ a) @ b
        if self.shared:
            return self.shared.output(self, x)
        return project(x, [self])[0]

    def factors(self, dtype: mx.Dtype) -> tuple[mx.array, mx.array]:
        """Return A and scale B in `dtype`."""
        return self.lora_a.astype(dtype), (self.scale * self.lora_b).astype(dtype)

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Be the frozen matrix alone for the time of a block: with a scale of 0, exactly 0 is added."""
        scale, self.scale = self.scale, 0.0
        try:
            yield
        finally:
            self.scale = scale


class LoRALinear(LowRankLinear):
    """A frozen matrix with its adapter; same parameter names as mlx-lm's layer of this name."""

    def __call__(self, x: mx.array) -> mx.array:
        """Return the output for x (..., inputs), of shape (..., outputs)."""
        return self.low_rank_sum(x)


class SharedInput:
    """Projections of one input that are computed together when the first of them is asked for."""

    def __init__(self, layers: Sequence[LowRankLinear]) -> None:
        self._layers = layers
        self._input: mx.array | None = None
        self._outputs: dict[int, mx.array] = {}
        for layer in layers:
            layer.shared = self

    def output(self, layer: LowRankLinear, x: mx.array) -> mx.array:
        """Return the output of `layer`, one of the group, for x."""
        if x is not self._input or id(layer) not in self._outputs:
            outputs = project(x, self._layers)
            self._input = x
            self._outputs = {id(one): y for one, y in zip(self._layers, outputs, strict=True)}
        y = self._outputs.pop(id(layer))
        if not self._outputs:
            self._input = None
        return y

    def dissolve_unless_used(self) -> None:
        """Compute each alone if, in the forward pass just made, somebody did not ask for his output."""
        if self._outputs:
            self._input, self._outputs = None, {}
            for layer in self._layers:
                layer.shared = None


def project(x: mx.array, layers: Sequence[LowRankLinear]) -> list[mx.array]:
    """Apply layers without dropout to the same x (..., inputs); differentiable in x, A and B.

    Kept for the backward pass: x and the products with A (rank numbers a row).
    """

    @mx.custom_function  # type: ignore[untyped-decorator]
    def apply(x: mx.array, *factors: mx.array) -> tuple[mx.array, ...]:
        return forward(x, layers, factors)

    @apply.vjp  # type: ignore[untyped-decorator]
    def apply_vjp(
        primals: Sequence[mx.array], gradients: Sequence[mx.array], outputs: Sequence[mx.array]
    ) -> tuple[mx.array, ...]:
        x, *factors = primals
        return backward(x, layers, factors, gradients[:-1], outputs[-1])

    return list(apply(x, *all_factors(layers, x.dtype))[:-1])


def all_factors(layers: Sequence[LowRankLinear], dtype: mx.Dtype) -> list[mx.array]:
    """Return A and scale B of each layer in turn."""
    return [factor for layer in layers for factor in layer.factors(dtype)]


def forward(
    x: mx.array, layers: Sequence[LowRankLinear], factors: Sequence[mx.array]
) -> tuple[mx.array, ...]:
    """Return the output of each layer, and last the joined (x A)ᵀ of shape (ranks, rows).

    The products with all A are one product. It is transposed, so that each layer's part
    lies in one piece.
    """
    rows = x.reshape(-1, x.shape[-1])  # (rows, inputs)
    inner = _joined(factors[::2]) @ rows.T  # (ranks, inputs) (inputs, rows) -> (ranks, rows)
    outputs = []
    for layer, part, b in zip(layers, _parts(inner, factors[1::2]), factors[1::2], strict=True):
        # (rows, rank) (rank, outputs) first: the large product adds to it without another pass over y.
        y = layer.linear.add_forward(part.T @ b, rows)
        outputs.append(y.reshape(*x.shape[:-1], -1))
    return (*outputs, inner)


def backward(
    x: mx.array,
    layers: Sequence[LowRankLinear],
    factors: Sequence[mx.array],
    gradients: Sequence[mx.array],
    inner: mx.array,
) -> tuple[mx.array, ...]:
    """Return the gradients of x and of each layer's A and scale B.

    Args:
        x: input, (..., inputs).
        layers: what `forward` applied.
        factors: A and scale B of each layer in turn.
        gradients: dy of each layer.
        inner: the last output of `forward`.
    """
    dx, inner_gradient = input_gradient(layers, factors, gradients)
    rest = factor_gradients(x, factors, gradients, inner, inner_gradient)
    # Else MLX may put off the small products and hold every layer's x and dy until then.
    (dx,) = mx.depends([dx], rest)
    return (dx.reshape(x.shape), *rest)


def input_gradient(
    layers: Sequence[LowRankLinear], factors: Sequence[mx.array], gradients: Sequence[mx.array]
) -> tuple[mx.array, mx.array]:
    """Return dx = dy W + G Aᵀ with G = dy (scale B)ᵀ, summed over the layers, (rows, inputs), and all Gᵀ."""
    dys = _rows(gradients)  # (rows, outputs) each
    # Gᵀ = (scale B) dyᵀ of each layer, below each other: (ranks, rows).
    inner_gradient = mx.concatenate([b @ dy.T for b, dy in zip(factors[1::2], dys, strict=True)])
    dx = inner_gradient.T @ _joined(factors[::2])  # (rows, ranks) (ranks, inputs)
    for layer, dy in zip(layers, dys, strict=True):
        dx = layer.linear.add_backward(dx, dy)
    return dx, inner_gradient


def factor_gradients(
    x: mx.array,
    factors: Sequence[mx.array],
    gradients: Sequence[mx.array],
    inner: mx.array,
    inner_gradient: mx.array,
) -> list[mx.array]:
    """Return dA = xᵀ G and d(scale B) = (x A)ᵀ dy of each layer in turn, for G of `input_gradient`."""
    dys, bs = _rows(gradients), factors[1::2]
    # (ranks, rows) (rows, inputs): one product for all layers, whose parts are then turned to (inputs, rank).
    da = [part.T for part in _parts(inner_gradient @ x.reshape(-1, x.shape[-1]), bs)]
    db = [part @ dy for part, dy in zip(_parts(inner, bs), dys, strict=True)]
    return [gradient for pair in zip(da, db, strict=True) for gradient in pair]


def _rows(arrays: Sequence[mx.array]) -> list[mx.array]:
    """Return arrays (..., width) as (rows, width)."""
    return [array.reshape(-1, array.shape[-1]) for array in arrays]


def _joined(factors: Sequence[mx.array]) -> mx.array:
    """Return all Aᵀ below each other, (ranks, inputs)."""
    return factors[0].T if len(factors) == 1 else mx.concatenate([a.T for a in factors])


def _parts(joined: mx.array, bs: Sequence[mx.array]) -> list[mx.array]:
    """Cut rows (ranks, ...) into the part of each layer, whose rank is that of its B."""
    parts, begin = [], 0
    for b in bs:
        parts.append(joined[begin : begin + b.shape[0]])
        begin += b.shape[0]
    return parts


def from_mlx_lm(layer: nn.Module, linear: FrozenLinear) -> LoRALinear:
    """Return a layer of ours with the adapter of mlx-lm's `LoRALinear`."""
    dropout: Any = layer.dropout
    return LoRALinear(linear, layer.lora_a, layer.lora_b, layer.scale, 1 - dropout._p_1)


@contextmanager
def switched_off(model: nn.Module) -> Iterator[None]:
    """Let a model compute as its base does for the time of a block.

    Nothing that steps were compiled with is touched.

    Args:
        model: whose adapted layers are ours, see `engine.model.replace_layers.make_fast`.
    """
    with ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, LowRankLinear):
                stack.enter_context(module.switched_off())
        yield
