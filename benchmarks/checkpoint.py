"""How long a checkpoint takes to save, against the least the disk takes for the same bytes.

    python -m benchmarks.checkpoint [DIR]     DIR: on the disk that is meant (default: a temporary one)

The adapters are those of rank 8 on all seven projections of every layer, with
AdamW's two moments. Saving and a plain write with fsync alternate; medians.
Training waits while a checkpoint is saved, so the share of a run is its
seconds over those of `save_every` steps.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from engine.backend import mx
from engine.config import TrainingConfig
from engine.memory.predict import trainable_parameters
from engine.model_folder.dimensions import ModelDimensions
from engine.training.checkpoint import RunIdentity, save_checkpoint
from engine.training.progress import Progress
from engine.training.retention import discard

SAVES = 9
SHAPES = {
    "SmolLM2-135M": ModelDimensions(576, 30, 9, 3, 64, 1536, 49152, True, 4),
    "Mistral-7B": ModelDimensions(4096, 32, 32, 8, 128, 14336, 32768, False, 4),
}


def arrays(parameters: int, copies: int) -> dict[str, mx.array]:
    """Return random float32 arrays of `parameters` numbers each, cut like layers into 64 pieces."""
    found = {
        f"{copy}.{i}": mx.random.normal((parameters // 64,)) for copy in range(copies) for i in range(64)
    }
    mx.eval(found)
    return found


def saving(folder: Path, weights: dict[str, mx.array], moments: dict[str, mx.array], step: int) -> float:
    """Save a checkpoint, delete it and return the seconds of saving."""
    identity = RunIdentity(TrainingConfig(), "data", "model")
    begin = time.perf_counter()
    saved = save_checkpoint(folder, 0, Progress(step=step), identity, weights, {}, moments)
    seconds = time.perf_counter() - begin
    discard(saved)
    return seconds


def plain(folder: Path, size: int) -> float:
    """Write `size` bytes, flush them to the disk and return the seconds."""
    content, path = os.urandom(size), folder / "plain"
    begin = time.perf_counter()
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - begin
    path.unlink()
    return seconds


def main() -> None:
    """Print a line for each shape."""
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=parent) as name:
        for title, shape in SHAPES.items():
            parameters = trainable_parameters(shape, TrainingConfig())
            weights, moments = arrays(parameters, 1), arrays(parameters, 2)
            pairs = [
                (saving(Path(name), weights, moments, step), plain(Path(name), 12 * parameters))
                for step in range(SAVES)
            ]
            save, write = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"{title}: {parameters:,} parameters, {12 * parameters / 1e6:.0f} MB: "
                  f"save {save:.2f} s, plain write {write:.2f} s, ratio {ratio:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
