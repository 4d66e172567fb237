"""The CUDA kernel of the gated block's backward pass, against float64."""

from engine.backend import is_cuda, mx, nn
from engine.model import swiglu as gated
from engine.model.swiglu_kernel import gated_gradient, has_kernel
from tests.support.architectures import assert_same, build, found, made_fast, plain_loss

import numpy as np
import pytest


def test_other_devices_and_sizes_go_the_plain_way() -> None:
    """No kernel without CUDA, nor for what does not come in whole reads of 16-bit numbers."""
    assert has_kernel(mx.zeros((2, 8), mx.bfloat16)) == is_cuda()
    assert not has_kernel(mx.zeros((3, 5), mx.bfloat16))
    assert not has_kernel(mx.zeros((2, 8), mx.float32))


def test_a_model_takes_its_gradients_from_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against mlx-lm's own layers, with MLX's derivative in the kernel's place: that runs on any machine."""
    shapes = []

    def stand_in(gate: mx.array, up: mx.array, dh: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        shapes.append((gate.shape, up.shape, dh.shape))
        (h,), (d_gate, d_up) = mx.vjp(lambda gate, up: nn.silu(gate) * up, [gate, up], [dh])
        return h, d_gate, d_up

    monkeypatch.setattr(gated, "has_kernel", lambda _gate: True)
    monkeypatch.setattr(gated, "gated_gradient", stand_in)
    model = build()
    expected = found(model, plain_loss)
    assert_same(found(model, made_fast(model, "transient")), expected)
    assert len(shapes) == 2 and all(len(set(of_one)) == 1 for of_one in shapes)


@pytest.mark.skipif(not is_cuda(), reason="needs an NVIDIA card")
@pytest.mark.parametrize("shape", [(1, 8), (3, 40), (2, 5, 64)])
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_the_kernel_computes_the_gradients(shape: tuple[int, ...], dtype: mx.Dtype) -> None:
    """Of silu(gate) up, to the rounding of the dtype; large gates included."""
    mx.random.seed(3)
    gate, up, dh = ((mx.random.normal(shape) * scale).astype(dtype) for scale in (8.0, 1.0, 1.0))
    g, u, d = (np.array(array.astype(mx.float32), np.float64) for array in (gate, up, dh))
    sigmoid = 1 / (1 + np.exp(-g))
    wanted = (g * sigmoid * u, d * u * sigmoid * (1 + g * (1 - sigmoid)), d * g * sigmoid)
    for ours, exact in zip(gated_gradient(gate, up, dh), wanted, strict=True):
        assert ours.shape == shape and ours.dtype == dtype
        np.testing.assert_allclose(np.array(ours.astype(mx.float32)), exact, rtol=2**-7, atol=1e-4)
