"""The CUDA kernel of the gated block's backward pass, against float64."""

from engine.backend import is_cuda, mx
from engine.model.gated_kernel import gated_gradient, has_kernel

import numpy as np
import pytest


def test_other_devices_and_sizes_go_the_plain_way() -> None:
    """No kernel without CUDA, nor for what does not come in whole reads of 16-bit numbers."""
    assert has_kernel(mx.zeros((2, 8), mx.bfloat16)) == is_cuda()
    assert not has_kernel(mx.zeros((3, 5), mx.bfloat16))
    assert not has_kernel(mx.zeros((2, 8), mx.float32))


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
    for found, exact in zip(gated_gradient(gate, up, dh), wanted, strict=True):
        assert found.shape == shape and found.dtype == dtype
        np.testing.assert_allclose(np.array(found.astype(mx.float32)), exact, rtol=2**-7, atol=1e-4)
