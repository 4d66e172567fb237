"""A base model's matrix with its adapter added: W + scale (A B)ᵀ (Hu et al., 2021, "LoRA").

With DoRA each row is then brought to its length m (Liu et al., 2024).
"""

from engine.backend import mx
from engine.model.adapter_file import AdapterFile
from engine.model.mlx_lm_adapter import LENGTHS

import numpy as np
from numpy.typing import NDArray

SMALLEST = 1e-15
"""Of a norm: a row of zeros is not divided by it."""


def merged_rows(rows: NDArray[np.float32], path: str, adapter: AdapterFile) -> NDArray[np.float32]:
    """Return the sum in float32; `rows` themselves where the adapter leaves the matrix alone.

    Args:
        rows: (outputs, inputs).
        path: of the projection in the model.
        adapter: with A (inputs, rank) and B (rank, outputs), and of DoRA m (outputs,).
    """
    a, b = (adapter.weights.get(f"{path}.{name}") for name in ("lora_a", "lora_b"))
    if a is None or b is None:
        return rows
    product = np.array(a.astype(mx.float32)) @ np.array(b.astype(mx.float32))
    merged: NDArray[np.float32] = rows + np.float32(adapter.scale) * product.T
    lengths = adapter.weights.get(f"{path}{LENGTHS}")
    if lengths is None:
        return merged
    norms = np.linalg.norm(merged, axis=1)  # (outputs,)
    ratio: NDArray[np.float32] = np.array(lengths.astype(mx.float32)) / np.maximum(norms, SMALLEST)
    return merged * ratio[:, None]
