"""The optimizers there are: what each keeps, and at what learning rates it works."""

from typing import Literal

OptimizerName = Literal["adamw", "adafactor", "lion", "muon"]

RATE_FACTORS: dict[OptimizerName, float] = {"adamw": 1.0, "adafactor": 1.0, "lion": 0.3, "muon": 3.0}
"""Learning rate that suits an optimizer, as a multiple of AdamW's.

- Adafactor (Shazeer and Stern, 2018) with a given rate scales its updates to at most the size of AdamW's.
- Lion (Chen et al., 2023) steps by the sign alone, however small a gradient is: its authors take a third to
  a tenth. LoRA's runs are short, and at a tenth hardly move.
- Muon (Jordan et al., 2024): see `MOVES`.
"""
MOVES: dict[OptimizerName, float] = {"adamw": 1.0, "adafactor": 1.0, "lion": 1.0, "muon": 1 / 3}
"""How far a step moves a weight of LoRA's B at most, in learning rates.

Muon steps by an orthogonal matrix times sqrt(outputs / rank): each number is 1 / sqrt(rank) in the mean, a
third at rank 8. At rates so related the four reach the same losses in short runs (docs/settings.md).
"""


def state_numbers(name: OptimizerName, rows: int, columns: int) -> int:
    """Return how many float32 numbers an optimizer keeps for a matrix of `rows` x `columns` weights."""
    if name == "adamw":  # two moments of each weight
        return 2 * rows * columns
    if name == "adafactor":  # the mean squares of each row and of each column
        return rows + columns
    return rows * columns  # the momentum


def vector_state_numbers(name: OptimizerName, size: int) -> int:
    """Return the same for a vector, of which Adafactor keeps the mean square of each number."""
    return 2 * size if name == "adamw" else size
