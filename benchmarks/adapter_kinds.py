"""What a step of DoRA costs beside one of LoRA: processor time, in turn on the same micro-batch.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.adapter_kinds MODEL [--rows 4] [--length 128] [--steps 6]

Processor time of one thread is hardly changed by what else the machine does. All frozen matrices
are resident, half of the tokens carry loss. Memory: `benchmarks.memory`.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import get_args

from engine.backend import compute_dtype
from engine.config import FineTuneType, TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, micro_batches
from engine.dataset.batches.tokenize import Example
from engine.model.adapter import attach_adapter
from engine.model.frozen_linear import matrix_key
from engine.model.loading import load_base
from engine.model.matmul_timings import MatmulMode
from engine.model.replace_layers import make_fast, packed_layers
from engine.training.loss import make_loss
from engine.training.step import StepFunction
from engine.training.update import make_optimizer

import numpy as np

KINDS: tuple[FineTuneType, ...] = get_args(FineTuneType)
_TOKENS = 256
"""Tokens are drawn below this number, which every vocabulary has."""


def random_batch(rows: int, length: int) -> MicroBatch:
    """Return a full micro-batch of random tokens, the second half of each row trained."""
    draw = np.random.default_rng(0)
    trained = np.arange(length) >= length // 2
    examples = [
        Example(line, draw.integers(0, _TOKENS, length).astype(np.int32), trained, True)
        for line in range(rows)
    ]
    (batch,) = micro_batches(examples, [BatchShape.full(rows, length, rows * int(trained.sum()))])
    return batch


def prepared(folder: Path, kind: FineTuneType) -> StepFunction:
    """Return what makes a step of a model with a fresh adapter of a kind."""
    config = TrainingConfig(fine_tune_type=kind)
    model = load_base(folder, keep_packed=True).model
    attach_adapter(model, config)
    modes: dict[str, MatmulMode] = {matrix_key(layer): "resident" for layer in packed_layers(model)}
    make_fast(model, modes, compute_dtype())
    model.train()
    return StepFunction(model, make_optimizer(config), make_loss(model, modes), config.max_grad_norm)


def seconds(folder: Path, rows: int, length: int, steps: int) -> dict[FineTuneType, float]:
    """Return the median processor time of a step of each kind, seconds; the first one does not count."""
    batch, made = random_batch(rows, length), {kind: prepared(folder, kind) for kind in KINDS}
    taken: dict[FineTuneType, list[float]] = {kind: [] for kind in KINDS}
    for _step in range(steps + 1):
        for kind, step in made.items():
            begin = time.process_time()
            step([batch], 1e-4)
            taken[kind].append(time.process_time() - begin)
    return {kind: statistics.median(found[1:]) for kind, found in taken.items()}


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of the base model")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=6)
    given = parser.parse_args()
    found = seconds(given.model, given.rows, given.length, given.steps)
    shown = ", ".join(f"{kind} {value:.3f} s" for kind, value in found.items())
    print(f"{given.rows} x {given.length}: {shown} a step: {found['dora'] / found['lora']:.2f} times")


if __name__ == "__main__":
    main()
