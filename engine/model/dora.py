"""DoRA layers: the rows of W + scale (A B)ᵀ at lengths of their own, which are trained (Liu et al., 2024).

y = m / ‖W + scale (A B)ᵀ‖ ⊙ (x Wᵀ + scale (x A) B) + bias, where the norms are those of the rows, one for
each output, and m begins as the norms of W. The norms count as constants for the gradient (section 4.3 of
the paper), as in mlx-lm's and PEFT's layers; with dropout, which mlx-lm applies to A's inputs alone, this is
mlx-lm's layer.

mlx-lm writes the whole matrix W + scale (A B)ᵀ out in every pass. Here its norms come from thin products:
with s the scale, ‖w + s b A‖² = ‖w‖² + 2 s b·(A w) + s² b (A Aᵀ) bᵀ for a row w of W, b of Bᵀ, and A as
(rank, inputs): as much work as `rank` more rows of x, and nothing of W's size, whatever way it is kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.backend import mx, nn
from engine.errors import UserError
from engine.i18n import _
from engine.model.frozen_linear import FrozenLinear
from engine.model.lora import LowRankLinear
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm

from mlx.utils import tree_unflatten
from mlx_lm.tuner.dora import DoRALinear as MlxLmDoRALinear

_SMALLEST = 1e-30
"""Of a squared norm: a row of zeros has the length 0, and is not divided by it."""


class DoRALinear(LowRankLinear):
    """A frozen matrix with its adapter; same parameter names as mlx-lm's layer of this name."""

    def __init__(
        self,
        linear: FrozenLinear,
        lora_a: mx.array,
        lora_b: mx.array,
        m: mx.array,
        scale: float,
        dropout: float,
    ) -> None:
        """Take over a frozen matrix W and its adapter.

        Args:
            linear: W (outputs, inputs), and a bias or none.
            lora_a: A, (inputs, rank).
            lora_b: B, (rank, outputs).
            m: the lengths of the rows, (outputs,) float32.
            scale: of A B.
            dropout: share of A's inputs that are dropped.
        """
        super().__init__(linear, lora_a, lora_b, scale, dropout)
        self.m = m
        self._squares = linear.squared_rows()  # (outputs,) float32; no parameter: it follows from W
        mx.eval(self._squares)
        self._is_off = False
        self._fixed: mx.array | None = None

    def __call__(self, x: mx.array) -> mx.array:
        """Return the output for x (..., inputs), of shape (..., outputs)."""
        if self._is_off:
            return self.linear(x)
        ratio = self._ratio(x.dtype) if self._fixed is None else self._fixed
        y = (ratio * self.low_rank_sum(x).astype(mx.float32)).astype(x.dtype)
        if "bias" not in self.linear:
            return y
        return y + ((1 - ratio) * self.linear.bias.astype(mx.float32)).astype(x.dtype)

    def fix(self) -> None:
        """Compute the norms once, for an adapter that is not trained any more."""
        self._fixed = self._ratio(mx.float32)
        mx.eval(self._fixed)

    @contextmanager
    def switched_off(self) -> Iterator[None]:
        """Be the frozen matrix alone for the time of a block."""
        self._is_off = True
        try:
            yield
        finally:
            self._is_off = False

    def _ratio(self, dtype: mx.Dtype) -> mx.array:
        """Return m / ‖W + scale (A B)ᵀ‖, (outputs,) float32, for A and B as products in `dtype` have them."""
        a, b = (mx.stop_gradient(factor) for factor in self.factors(dtype))
        wide_a, wide_b = a.astype(mx.float32), b.astype(mx.float32)
        # (rank, inputs) (inputs, outputs) and (rank, rank) (rank, outputs) -> (rank, outputs)
        products = 2 * self.linear.thin_product(a.T).astype(mx.float32) + (wide_a.T @ wide_a) @ wide_b
        squares = self._squares + (wide_b * products).sum(axis=0)
        return self.m / mx.sqrt(mx.maximum(squares, _SMALLEST))


def from_mlx_lm(layer: MlxLmDoRALinear, linear: FrozenLinear) -> DoRALinear:
    """Return a layer of ours with the adapter of mlx-lm's `DoRALinear`."""
    return DoRALinear(linear, layer.lora_a, layer.lora_b, layer.m, layer.scale, 1 - layer.dropout._p_1)


def replace_for_answers(model: nn.Module, dtype: mx.Dtype) -> None:
    """Put our layers, with their norms computed, in the place of mlx-lm's DoRA layers; others stay.

    mlx-lm's would write out every matrix for every token.

    Args:
        model: with a whole adapter, which is not trained any more.
        dtype: that it computes in.
    """
    for path, module in list(model.named_modules()):
        if isinstance(module, MlxLmDoRALinear):
            new = from_mlx_lm(module, FrozenLinear(module.linear, "packed", dtype))
            new.fix()
            model.update_modules(tree_unflatten([(path, new)]))


def require_even_words(model: nn.Module) -> None:
    """Refuse a model whose quantised weights do not fill words of 32 bits evenly.

    mlx-lm takes the inputs of such a matrix for fewer than they are, so it could not read the adapter.

    Raises:
        UserError: with the width.
    """
    for module in model.modules():
        if isinstance(module, nn.QuantizedLinear) and 32 % module.bits:
            raise UserError(
                _("mlx-lm has no DoRA for weights of {bits} bits").format(bits=module.bits),
                _("take a model of 4 or 8 bits, or set fine_tune_type=lora"),
            )
