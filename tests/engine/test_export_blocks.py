"""Packed weights of MLX as blocks of GGUF: the same numbers by the `gguf` library."""

from engine.backend import mx
from engine.export.blocks import to_q4_1, to_q8_0

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize


def packed(group_size: int, dtype: mx.Dtype, factor: float = 1.0) -> tuple[mx.array, mx.array, mx.array]:
    mx.random.seed(group_size)
    rows = (mx.random.normal((24, 256)) * factor).astype(dtype)
    weight, scales, *biases = mx.quantize(rows, group_size, 4)
    return weight, scales, biases[0]


def float32(array: mx.array) -> np.ndarray:
    return np.array(array.astype(mx.float32))


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_four_bits_are_the_same_numbers(group_size: int, dtype: mx.Dtype) -> None:
    """scale q + bias in float32, to the bit, by what MLX and gguf each make of their own form."""
    weight, scales, biases = packed(group_size, dtype)
    assert scales.dtype == dtype
    made = to_q4_1(np.array(weight), float32(scales), float32(biases), group_size)
    assert (made.inexact, made.blocks.shape) == (0, (24, 256 // 32 * 20)) and made.blocks.dtype == np.uint8
    numbers = dequantize(made.blocks, Kind.Q4_1)
    wanted = mx.dequantize(weight, scales.astype(mx.float32), biases.astype(mx.float32), group_size, 4)
    quants = (np.array(weight)[..., None] >> np.arange(0, 32, 4, dtype=np.uint32) & 15).reshape(24, 256)
    by_hand = np.repeat(float32(scales), group_size, 1) * quants + np.repeat(float32(biases), group_size, 1)
    assert np.abs(numbers - by_hand).max() == 0.0
    assert np.abs(numbers - np.array(wanted)).max() < 1e-6  # MLX may fuse the product and the sum


def test_scales_that_float16_cannot_hold_are_counted() -> None:
    """Each scale and bias that is rounded, and no other; the numbers stay close."""
    weight, scales, biases = packed(64, mx.bfloat16, factor=1e-5)
    made = to_q4_1(np.array(weight), float32(scales), float32(biases), 64)
    factors = np.stack([float32(scales), float32(biases)])
    rounded = int(np.count_nonzero(factors.astype(np.float16).astype(np.float32) != factors))
    assert made.inexact == rounded > 0
    assert float(np.abs(float32(scales)).max()) < 6e-5
    wanted = np.array(mx.dequantize(weight, scales, biases, 64, 4).astype(mx.float32))
    assert np.abs(dequantize(made.blocks, Kind.Q4_1) - wanted).max() < 1e-6


def test_eight_bits_of_q8_0_are_the_same_numbers() -> None:
    """What MLX reads from Q8_0, groups of 32 that begin at -128 scale, becomes Q8_0 again."""
    draw = np.random.default_rng(1)
    quants = draw.integers(0, 256, (16, 128), dtype=np.uint8)
    scales = draw.uniform(1e-4, 0.1, (16, 4)).astype(np.float16).astype(np.float32)
    made = to_q8_0(quants.view(np.uint32), scales)
    assert made.shape == (16, 128 // 32 * 34) and made.dtype == np.uint8
    ours = mx.dequantize(mx.array(quants.view(np.uint32)), mx.array(scales), mx.array(-128 * scales), 32, 8)
    wanted = np.repeat(scales, 32, 1) * (quants.astype(np.float32) - 128)
    assert np.abs(dequantize(made, Kind.Q8_0) - wanted).max() == 0.0
    assert np.abs(np.array(ours) - wanted).max() < 1e-5
