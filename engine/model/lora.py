"""LoRA layers whose products run in the compute dtype.

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
from engine.model.low_rank import parts, project
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
        self.has_product_form = False
        """Whether `lora_a` and `lora_b` are as `product_form` says, instead of A and B."""

    def low_rank_sum(self, x: mx.array) -> mx.array:
        """Return x Wᵀ + bias + scale (x A) B for x (..., inputs), of shape (..., outputs)."""
        if self.drops:
            a, b = self.factors(x.dtype)
            return self.linear(x) + (self.dropout(x) @ a) @ b
        if self.shared:
            return self.shared.output(self, x)
        return project(x, [self.linear], joined_factors([self], x.dtype))[0]

    def factors(self, dtype: mx.Dtype) -> tuple[mx.array, mx.array]:
        """Return A and scale B in `dtype`."""
        if not self.has_product_form:
            # However A lies in memory: products with it are rounded the same way then.
            a = mx.contiguous(self.lora_a.T).astype(dtype).T
            return a, (self.scale * self.lora_b).astype(dtype)
        group = self.shared.layers if self.shared else [self]
        joined = parts(group[0].lora_a, [layer.lora_b for layer in group])
        return next(a.T for layer, a in zip(group, joined, strict=True) if layer is self), self.lora_b

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
        self.layers = layers
        self._input: mx.array | None = None
        self._outputs: dict[int, mx.array] = {}
        for layer in layers:
            layer.shared = self

    def output(self, layer: LowRankLinear, x: mx.array) -> mx.array:
        """Return the output of `layer`, one of the group, for x."""
        if x is not self._input or id(layer) not in self._outputs:
            outputs = project(x, [one.linear for one in self.layers], joined_factors(self.layers, x.dtype))
            self._input = x
            self._outputs = {id(one): y for one, y in zip(self.layers, outputs, strict=True)}
        y = self._outputs.pop(id(layer))
        if not self._outputs:
            self._input = None
        return y

    def dissolve_unless_used(self) -> None:
        """Compute each alone if, in the forward pass just made, somebody did not ask for his output."""
        if self._outputs:
            self._input, self._outputs = None, {}
            for layer in self.layers:
                layer.shared = None


@contextmanager
def product_form(layers: Sequence[LowRankLinear]) -> Iterator[None]:
    """Let layers take their factors, for the time of a block, as products need them.

    `lora_a` of the first of the projections that are computed together is then Aᵀ of all of them below each
    other, (ranks, inputs), that of the rest is empty, and `lora_b` of each is scale B, all in the compute
    dtype. So nothing of hundreds of small matrices is turned, scaled or joined one by one.

    Args:
        layers: all those of a model, `low_rank_layers`.
    """
    for layer in layers:
        layer.has_product_form = True
    try:
        yield
    finally:
        for layer in layers:
            layer.has_product_form = False


def low_rank_layers(model: nn.Module) -> list[list[tuple[str, LowRankLinear]]]:
    """Return the adapted layers of a model with their paths, those that are computed together in one list."""
    adapted = {id(one): (path, one) for path, one in model.named_modules() if isinstance(one, LowRankLinear)}
    groups = {
        tuple(map(id, layer.shared.layers if layer.shared else [layer])) for _path, layer in adapted.values()
    }
    return sorted(([adapted[key] for key in group] for group in groups), key=lambda group: group[0][0])


def joined_factors(layers: Sequence[LowRankLinear], dtype: mx.Dtype) -> list[mx.array]:
    """Return Aᵀ of all layers below each other, (ranks, inputs), and scale B of each, in `dtype`."""
    if layers[0].has_product_form:
        return [layers[0].lora_a, *(layer.lora_b for layer in layers)]
    factors = [layer.factors(dtype) for layer in layers]
    return [mx.concatenate([a.T for a, _b in factors]), *(b for _a, b in factors)]


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
