"""A frozen matrix of the base model and three modes to multiply by it.

- packed: `quantized_matmul` on the stored bits. Smallest; made for a few rows.
- transient: the matrix is written out for the product and dropped, again in the
  backward pass. Nothing is kept, and the product runs at full matmul speed.
- resident: written out once at load. Fastest; takes 16 (on a CPU 32) bits a weight.

All three multiply by the same numbers, so results differ by rounding only.
"""

from dataclasses import dataclass
from typing import Any

from engine.backend import mx, nn
from engine.model.matmul_timings import MatmulMode


@dataclass(frozen=True)
class Packing:
    """How a matrix is quantised, in the words of `mx.quantize`."""

    group_size: int
    bits: int
    mode: str


def matrix_key(layer: nn.Module) -> str:
    """Name the kind of a matrix, such as "14336x4096 4-bit/64 affine": those of one kind share a mode."""
    rows, columns = matrix_shape(layer)
    if "scales" not in layer:
        return f"{rows}x{columns}"
    return f"{rows}x{columns} {layer.bits}-bit/{layer.group_size} {layer.mode}"


def matrix_shape(layer: nn.Module) -> tuple[int, int]:
    """Return (outputs, inputs) of a linear layer or an embedding used backwards, packed or not."""
    rows, columns = layer.weight.shape  # packed: words of 32 bits, (outputs, inputs x bits / 32)
    return rows, columns * 32 // layer.bits if "scales" in layer else columns


def written_dtype(layer: nn.Module, dtype: mx.Dtype) -> mx.Dtype:
    """Return the dtype that a quantised layer computes in: that of its scales, where these are floats."""
    return layer["scales"].dtype if mx.issubdtype(layer["scales"].dtype, mx.floating) else dtype


class FrozenLinear(nn.Module):  # type: ignore[misc]
    """y = x Wᵀ + bias, where W (outputs, inputs) and bias never change."""

    def __init__(self, layer: nn.Module, mode: MatmulMode, dtype: mx.Dtype) -> None:
        """Take over a layer's arrays.

        Args:
            layer: `nn.Linear` (always resident) or `nn.QuantizedLinear`, or an embedding used backwards.
            mode: how to multiply.
            dtype: that a resident matrix is written out in, unless its scales tell another.
        """
        super().__init__()
        for name in ("weight", "scales", "biases", "bias"):
            if layer.get(name) is not None:
                self[name] = layer[name]
        is_packed = "scales" in layer
        self.packing = Packing(layer.group_size, layer.bits, layer.mode) if is_packed else None
        self.freeze()
        self.outputs, self.inputs = matrix_shape(layer)
        if self.packing and mode == "resident":
            self.weight: mx.array = self._written_out(self["weight"], written_dtype(layer, dtype))
            mx.eval(self.weight)
            self.packing = None
            del self["scales"]
            self.pop("biases", None)
        self.mode: MatmulMode = mode if self.packing else "resident"
        self._apply = _without_gradient(self)

    def __call__(self, x: mx.array) -> mx.array:
        """Return x Wᵀ + bias; its gradient is that of x alone."""
        return self._apply(x)

    def forward(self, x: mx.array) -> mx.array:
        """Return x Wᵀ + bias, shape (..., outputs); its gradient is left to the caller."""
        # (..., inputs) (inputs, outputs)
        y = self._packed(x, True) if self.mode == "packed" else x @ self._weight(x).T
        return y + self.bias if "bias" in self else y

    def backward(self, gradient: mx.array) -> mx.array:
        """Return dy W, shape (..., inputs): the gradient of x for the gradient dy of `forward`."""
        # (..., outputs) (outputs, inputs)
        return self._packed(gradient, False) if self.mode == "packed" else gradient @ self._weight(gradient)

    def add_forward(self, total: mx.array, x: mx.array) -> mx.array:
        """Return total + x Wᵀ + bias, shape (rows, outputs): one pass over memory where the mode allows."""
        if self.mode == "packed":
            return total + self.forward(x)
        y = mx.addmm(total, x, self._weight(x).T)
        return y + self.bias if "bias" in self else y

    def add_backward(self, total: mx.array, gradient: mx.array) -> mx.array:
        """Return total + dy W, shape (rows, inputs): one pass over memory where the mode allows."""
        if self.mode == "packed":
            return total + self.backward(gradient)
        return mx.addmm(total, gradient, self._weight(gradient))

    def thin_product(self, x: mx.array) -> mx.array:
        """Return x Wᵀ without bias for a few rows, (rows, outputs): nothing of W's size is written."""
        return x @ self.weight.T if self.packing is None else self._packed(x, True)

    def squared_rows(self) -> mx.array:
        """Return the squared norm of each row of W, (outputs,) float32."""
        if self.packing is None:
            return mx.square(self.weight.astype(mx.float32)).sum(axis=1)
        return mx.square(self._written_out(self.weight, mx.float32)).sum(axis=1)

    def _weight(self, user: mx.array) -> mx.array:
        """Return W for a product with `user`.

        MLX evaluates what depends on no activation early and would hold every layer's
        matrix at once, so the packed one is tied to the moment its product is due.
        """
        if self.packing is None:
            return self.weight
        return self._written_out(mx.depends([self.weight], [user])[0], user.dtype)

    def _written_out(self, packed: mx.array, dtype: mx.Dtype) -> mx.array:
        # Words (outputs, inputs x bits / 32), scales (outputs, inputs / group) -> (outputs, inputs).
        weight = mx.dequantize(packed, self.scales, self.get("biases"), **vars(self.packing))
        return weight.astype(dtype)

    def _packed(self, x: mx.array, transpose: bool) -> mx.array:
        return mx.quantized_matmul(
            x, self.weight, self.scales, self.get("biases"), transpose, **vars(self.packing)
        )


def _without_gradient(layer: FrozenLinear) -> Any:
    """Return `layer.forward` with `layer.backward` as its gradient."""

    @mx.custom_function  # type: ignore[untyped-decorator]
    def apply(x: mx.array) -> mx.array:
        return layer.forward(x)

    @apply.vjp  # type: ignore[untyped-decorator]
    def apply_vjp(_x: mx.array, gradient: mx.array, _y: mx.array) -> mx.array:
        return layer.backward(gradient)

    return apply
