"""How much of what was gained in training an export keeps: its files are read again and scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.backend import mx, nn
from engine.dataset.batches.tokenize import Example

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Log-probability of each trained token of some rows, in their order."""
OnRows = Callable[[int, int], None]
"""Called with how many rows are scored, of how many."""
ENOUGH = 0.95
"""Share of the gain that a form worth taking keeps."""
LEAST = 0.5
"""Share below which an export is refused."""
LEAST_GAIN = 0.02
"""Nats that a trained token gains at least where a share of that means something: rounding alone changes as
much."""
_RUINED = 0.5
"""Nats by which files that are worse than base and adapter are no rounding, where nothing was gained."""


@dataclass(frozen=True)
class KeptGain:
    """An export beside the base model and the adapter as it was trained, in nats per trained token."""

    form: str
    """Such as "gguf-4"."""
    bytes: int
    """Of its files."""
    base: float
    adapter: float
    export: float
    tokens: int
    """That were scored."""
    difference: float
    """Largest difference of a token's log-probability to the adapter as it was trained."""
    by: str
    """What read the files: "MLX", "llama.cpp" or "gguf"."""

    @property
    def kept(self) -> float | None:
        """Share of the gain that is kept; None where the adapter gained too little on these rows."""
        gain = self.base - self.adapter
        return (self.base - self.export) / gain if gain >= LEAST_GAIN else None

    @property
    def is_lost(self) -> bool:
        """Whether so little is kept that the files are not what they are taken for."""
        if self.kept is None:
            return self.export > max(self.base, self.adapter) + _RUINED
        return self.kept < LEAST


def kept_gain(form: str, size: int, base: Scores, adapter: Scores, export: Scores, by: str) -> KeptGain:
    """Compare the scores of the same tokens."""
    return KeptGain(
        form,
        size,
        -float(base.mean()),
        -float(adapter.mean()),
        -float(export.mean()),
        len(export),
        float(np.abs(export - adapter).max()),
        by,
    )


def smallest_good(rows: Sequence[KeptGain]) -> KeptGain | None:
    """Return the smallest form that keeps `ENOUGH` of the gain."""
    good = [row for row in rows if row.kept is not None and row.kept >= ENOUGH]
    return min(good, key=lambda row: row.bytes, default=None)


def log_probabilities(
    model: nn.Module, examples: Sequence[Example], on_rows: OnRows = lambda done, total: None
) -> Scores:
    """Return a model's log-probability of each trained token, computed row by row in the model's own type."""
    found = []
    for done, example in enumerate(examples, start=1):
        tokens = mx.array(example.tokens)
        places = mx.array(np.flatnonzero(example.trained))
        logits = model(tokens[None, :-1])[0, places - 1].astype(mx.float32)  # (trained, vocabulary)
        chosen = mx.take_along_axis(logits, tokens[places][:, None], axis=-1)[:, 0]
        found.append(np.array(chosen - mx.logsumexp(logits, axis=-1), np.float64))
        on_rows(done, len(examples))
    return np.concatenate(found)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
