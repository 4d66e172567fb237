"""The feed-forward block of llama-like models, which computes its widest activation twice."""

from collections.abc import Sequence

from engine.backend import exp, is_cpu, mx, nn
from engine.model.lora import LoRALinear, SharedInput, joined_factors
from engine.model.low_rank import factor_gradients, forward, input_gradient
from engine.model.swiglu_kernel import gated_gradient, has_kernel


class GatedMLP(nn.Module):  # type: ignore[misc]
    """down(silu(gate(x)) * up(x)); keeps gate and up for the backward pass, not their product.

    The product is as wide as both and cheap to compute again (Shazeer, 2020, "GLU Variants").
    With silu(g) = g σ(g), dgate = dh up σ(g) (1 + g (1 - σ(g))) and dup = dh g σ(g).
    """

    def __init__(self, mlp: nn.Module) -> None:
        """Take over the three projections of `mlp`, all of them LoRA layers without dropout."""
        super().__init__()
        self.gate_proj: LoRALinear = mlp.gate_proj
        self.up_proj: LoRALinear = mlp.up_proj
        self.down_proj: LoRALinear = mlp.down_proj
        SharedInput([self.gate_proj, self.up_proj])

    def __call__(self, x: mx.array) -> mx.array:
        """Return the block's output, of x's shape (..., hidden)."""
        gate, up = self.gate_proj(x), self.up_proj(x)  # (..., intermediate) both, computed together
        return _gated_project(gate, up, self.down_proj)


def _gated_project(gate: mx.array, up: mx.array, layer: LoRALinear) -> mx.array:
    @mx.custom_function  # type: ignore[untyped-decorator]
    def apply(gate: mx.array, up: mx.array, a: mx.array, b: mx.array) -> tuple[mx.array, ...]:
        sigmoid = _sigmoid(gate)
        outputs = forward(gate * sigmoid * up, [layer.linear], a, [b])  # (..., hidden), and (rank, rows)
        return (*outputs, sigmoid) if is_cpu() else outputs

    @apply.vjp  # type: ignore[untyped-decorator]
    def apply_vjp(
        primals: Sequence[mx.array], gradients: Sequence[mx.array], outputs: Sequence[mx.array]
    ) -> tuple[mx.array, ...]:
        gate, up, a, b = primals  # (..., intermediate) twice, Aᵀ (rank, intermediate), B (rank, hidden)
        dy, inner = gradients[:1], outputs[1]
        # Not before its gradient is there: else the product would be kept after all.
        gate, up = mx.depends([gate, up], dy)
        dh, inner_gradient = input_gradient([layer.linear], a, [b], dy)  # (rows, intermediate), (rank, rows)
        dh = dh.reshape(gate.shape)
        if has_kernel(gate):
            h, d_gate, d_up = gated_gradient(gate, up, dh)
            rest = factor_gradients(h, [b], dy, inner, inner_gradient)
            # Else MLX may put off the factors' gradients, and hold h until then.
            return (*mx.depends([d_gate, d_up], rest), *rest)
        sigmoid = outputs[2] if is_cpu() else _sigmoid(gate)
        rest = factor_gradients(gate * sigmoid * up, [b], dy, inner, inner_gradient)
        (dh,) = mx.depends([dh], rest)
        return *_activation_gradient(gate, up, dh, sigmoid), *rest

    return apply(gate, up, *joined_factors([layer], gate.dtype))[0]


def _activation_gradient(
    gate: mx.array, up: mx.array, dh: mx.array, sigmoid: mx.array
) -> tuple[mx.array, mx.array]:
    """Return the gradients of gate and up for that of silu(gate) up."""
    return dh * up * (sigmoid * (1 + gate * (1 - sigmoid))), dh * (gate * sigmoid)


def _sigmoid(x: mx.array) -> mx.array:
    """Return 1 / (1 + e^-x); on a CPU the result is kept, everywhere else it is computed again."""
    return 1 / (1 + exp(-x)) if is_cpu() else mx.sigmoid(x)
