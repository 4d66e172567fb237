"""The optimizers there are: what each keeps, and at what learning rates it works."""

from typing import Literal

OptimizerName = Literal["adamw", "adafactor", "lion", "muon"]

RATE_FACTORS: dict[OptimizerName, float] = {"adamw": 1.0, "adafactor": 1.0, "lion": 0.1, "muon": 10.0}
"""Learning rate that suits an optimizer, as a multiple of AdamW's.

- Adafactor (Shazeer and Stern, 2018) with a given rate scales its updates to at most the size of AdamW's.
- Lion (Chen et al., 2023) steps by the sign alone, whatever the gradient: its authors take a third to a
  tenth.
- Muon (Jordan et al., 2024) steps by orthogonal matrices: of a matrix of 8 x 4,096 each number moves by
  1/64 in the mean, where AdamW moves it by up to 1.
"""


def state_numbers(name: OptimizerName, rows: int, columns: int) -> int:
    """Return how many float32 numbers an optimizer keeps for a matrix of `rows` x `columns` weights."""
    if name == "adamw":  # two moments of each weight
        return 2 * rows * columns
    if name == "adafactor":  # the mean squares of each row and of each column
        return rows + columns
    return rows * columns  # the momentum
