"""Whether the loss over many steps is that of mlx-lm's own layers: the same batches, in every matmul mode.

    python -m benchmarks.curves MODEL [--steps 100] [--rows 1] [--modes packed transient resident]

The reference has mlx-lm's LoRA layers on the same weights, a plain cross-entropy over all
logits and one AdamW update a step, nothing compiled. Ours has the engine's layers, loss and
step. Each line: the largest difference of the losses of any step, the mean of both over the
last ten, and the largest difference of a final adapter weight.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.backend import compute_dtype, mx, nn
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, micro_batches
from engine.dataset.batches.tokenize import Example
from engine.model.adapter import adapter_weights, attach_adapter
from engine.model.frozen_linear import matrix_key
from engine.model.loading import load_base
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode
from engine.model.replace_layers import make_fast, packed_layers
from engine.training.loss import batch_arrays, make_loss
from engine.training.step import StepFunction
from engine.training.update import make_optimizer

import numpy as np

LENGTH = 64
CONFIG = TrainingConfig(learning_rate=2e-4, max_grad_norm=0.0)
Curve = tuple[list[float], dict[str, mx.array]]


def batches(steps: int, rows: int, vocabulary: int) -> Iterator[MicroBatch]:
    """Yield random micro-batches that can be learned: each token is followed by the next number, mostly."""
    draw = np.random.default_rng(0)
    for _step in range(steps):
        first = draw.integers(0, vocabulary // 2, (rows, 1))
        tokens = ((first + np.arange(LENGTH)) % vocabulary).astype(np.int32)
        noise = np.less(draw.random(tokens.shape), 0.1)
        tokens[noise] = draw.integers(0, vocabulary, int(noise.sum()))
        trained = (np.arange(LENGTH) % 2).astype(bool)
        examples = [Example(line, row, trained, True) for line, row in enumerate(tokens)]
        (batch,) = micro_batches(examples, [BatchShape.full(rows, LENGTH, rows * LENGTH // 2)])
        yield batch


def loaded(folder: Path) -> nn.Module:
    """Return the base model with a fresh adapter in mlx-lm's layers."""
    model = load_base(folder, keep_packed=True).model
    attach_adapter(model, CONFIG)
    return model


def reference(folder: Path, made: Sequence[MicroBatch]) -> Curve:
    """Train with mlx-lm's layers; return the losses and the final adapter."""
    model = load_base(folder).model
    attach_adapter(model, CONFIG)
    model.train()
    optimizer = make_optimizer(CONFIG)

    def mean_loss(model: nn.Module, *batch: mx.array) -> mx.array:
        tokens, slots, places, targets, labels = batch
        logits = model(tokens[slots]).astype(mx.float32)
        chosen = logits.reshape(-1, logits.shape[-1])[places[targets]]
        return nn.losses.cross_entropy(chosen, labels, reduction="mean")

    losses = []
    for batch in made:
        loss, gradient = nn.value_and_grad(model, mean_loss)(model, *batch_arrays(batch))
        optimizer.update(model, gradient)
        mx.eval(model.trainable_parameters(), optimizer.state)
        losses.append(float(loss.item()))
    return losses, adapter_weights(model)


def ours(folder: Path, made: Sequence[MicroBatch], mode: MatmulMode) -> Curve:
    """Train with the engine's layers, every frozen matrix multiplied in one mode."""
    model = loaded(folder)
    modes = {matrix_key(layer): mode for layer in packed_layers(model)}
    make_fast(model, modes, compute_dtype())
    loss = make_loss(model, modes)
    model.train()
    step = StepFunction(model, make_optimizer(CONFIG), loss, CONFIG.max_grad_norm)
    losses = [step([batch], CONFIG.learning_rate).loss for batch in made]
    return losses, adapter_weights(model)


def compared(mode: str, one: Curve, other: Curve) -> str:
    """Return a line that says how far two curves are apart."""
    apart = max(abs(a - b) for a, b in zip(one[0], other[0], strict=True))
    weights = max(float(mx.abs(array - other[1][name]).max().item()) for name, array in one[1].items())
    ends = [float(np.mean(curve[0][-10:])) for curve in (one, other)]
    return (
        f"{mode:10s} largest difference of a loss {apart:.1e} (last 10 {ends[1]:.5f}, theirs {ends[0]:.5f}), "
        f"of a weight {weights:.1e}"
    )


def main() -> None:
    """Print a line for each mode."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--modes", nargs="+", choices=MATMUL_MODES, default=list(MATMUL_MODES))
    options = parser.parse_args()
    made = list(batches(options.steps, options.rows, vocabulary=256))
    known = reference(options.model, made)
    first, last = known[0][0], known[0][-1]
    print(
        f"{options.steps} steps of {options.rows} x {LENGTH} tokens, loss {first:.4f} -> {last:.4f}",
        flush=True,
    )
    for mode in options.modes:
        print(compared(mode, known, ours(options.model, made, mode)), flush=True)


if __name__ == "__main__":
    main()
