"""MLX's packed weights as blocks of GGUF, to the bit.

Affine 4-bit groups and Q4_1 both keep w = scale q + bias with q in 0..15. MLX has a scale for 32, 64 or 128
weights, Q4_1 one for 32, in float16: a group becomes one, two or four blocks with the same scale (ggml's
`block_q4_1`, 20 bytes for 32 weights). 8-bit groups of 32 whose bias is -128 scale are Q8_0,
w = scale (q - 128) (ggml's `block_q8_0`, 34 bytes).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Weights in a block."""
GROUP_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class Packed:
    """A matrix in Q4_1."""

    blocks: NDArray[np.uint8]
    """Shape (rows, columns / 32 * 20)."""
    inexact: int
    """How many scales and biases float16 cannot hold as they were."""


def to_q4_1(
    weight: NDArray[np.uint32], scales: NDArray[np.float32], biases: NDArray[np.float32], group_size: int
) -> Packed:
    """Return MLX's packed weights as blocks of Q4_1.

    Args:
        weight: (rows, columns / 8), eight weights in each, the first in the lowest bits.
        scales: (rows, columns / group_size).
        biases: the same.
        group_size: one of `GROUP_SIZES`.
    """
    rows = weight.shape[0]
    pairs = np.ascontiguousarray(weight).view(np.uint8).reshape(rows, -1)  # two weights a byte
    quants = np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(rows, -1, 2, BLOCK // 2)
    halves = quants[:, :, 0] | quants[:, :, 1] << 4  # weight i beside weight i + 16: (rows, blocks, 16)
    factors = np.stack([scales, biases], axis=-1)  # (rows, groups, 2)
    stored = factors.astype(np.float16)
    repeated = np.repeat(stored, group_size // BLOCK, axis=1)  # (rows, blocks, 2)
    blocks = np.concatenate([repeated.view(np.uint8).reshape(rows, -1, 4), halves], axis=-1)
    inexact = int(np.count_nonzero(stored.astype(np.float32) != factors))
    return Packed(blocks.reshape(rows, -1), inexact)


def to_q8_0(weight: NDArray[np.uint32], scales: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return MLX's 8-bit weights in groups of 32 as blocks of Q8_0, shape (rows, columns / 32 * 34).

    Args:
        weight: (rows, columns / 4), four weights in each, the first in the lowest bits.
        scales: (rows, columns / 32); the bias of each group is -128 times its scale.
    """
    rows = weight.shape[0]
    quants = (np.ascontiguousarray(weight).view(np.uint8).astype(np.int16) - 128).astype(np.int8)
    stored = scales.astype(np.float16)[..., None].view(np.uint8)  # (rows, blocks, 2)
    blocks = np.concatenate([stored, quants.view(np.uint8).reshape(rows, -1, BLOCK)], axis=-1)
    whole: NDArray[np.uint8] = blocks.reshape(rows, -1)
    return whole
