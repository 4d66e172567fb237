"""The ways in which each side can do the same work."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from benchmarks.workload import Workload
from engine.config import parse_assignment

OURS = "ours"
INSTALLED = "mlx_lm"
"""mlx-lm as it is installed, on the same model folder."""
PACKED = "mlx_lm packed f32"
"""The same on the same packed weights with float32 scales: 16-bit products are far slower on a CPU."""
FLOAT32 = "mlx_lm openblas"
"""mlx-lm with OpenBLAS loaded before MLX, on the same weights in float32."""
PEFT = "peft"
"""Hugging Face PEFT on PyTorch, on the same weights unquantised."""
COMPILED = "peft compiled"
"""The same with `torch.compile`."""
BASELINES = (INSTALLED, PACKED, FLOAT32, PEFT, COMPILED)

_SMALL_BATCHES = (4, 1)


@dataclass(frozen=True)
class Variant:
    """One side with one choice of settings."""

    side: str
    name: str
    batch_size: int
    accumulation: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """What a child process runs."""
        modules = {OURS: "benchmarks.ours", PEFT: "benchmarks.peft_lora", COMPILED: "benchmarks.peft_lora"}
        return modules.get(self.side, "benchmarks.mlx_lm_lora")


def our_variant(text: str, common: Sequence[str], workload: Workload) -> Variant:
    """Return the variant written as `NAME` or `NAME:KEY=VALUE,KEY=VALUE`, with `common` settings first.

    The effective batch size is the workload's; with a `batch_size` below it batches accumulate.

    Raises:
        UserError: there is no `=` in a setting.
        ValueError: the batch size does not divide the effective one.
    """
    name, _colon, assignments = text.partition(":")
    settings = dict(map(parse_assignment, (*common, *filter(None, assignments.split(",")))))
    batch_size = int(settings.pop("batch_size", workload.rows))
    return Variant(OURS, name, batch_size, _accumulation(workload, batch_size), settings)


def mlx_lm_variants(
    side: str, workload: Workload, batches: Sequence[int], with_checkpointing: bool
) -> list[Variant]:
    """Return mlx-lm's settings: the whole batch at once, and in parts that are accumulated.

    Args:
        side: one of `BASELINES`.
        workload: what is trained on.
        batches: the batch sizes; none takes the effective one, 4 and 1.
        with_checkpointing: also each of them with `grad_checkpoint`.

    Raises:
        ValueError: a batch size does not divide the effective one.
    """
    small = [size for size in _SMALL_BATCHES if size < workload.rows and workload.rows % size == 0]
    settings = {"openblas": side == FLOAT32}
    found = []
    for size in batches or [workload.rows, *small]:
        accumulation = _accumulation(workload, size)
        name = f"{size} x {accumulation}"
        found.append(Variant(side, name, size, accumulation, settings))
        if with_checkpointing:
            recomputing = {**settings, "grad_checkpoint": True}
            found.append(Variant(side, f"{name} grad_checkpoint", size, accumulation, recomputing))
    return found


def peft_variants(side: str, workload: Workload, batches: Sequence[int]) -> list[Variant]:
    """Return PEFT's settings: the whole batch at once, or the batch sizes that are asked for.

    Raises:
        ValueError: a batch size does not divide the effective one.
    """
    settings = {"compile": side == COMPILED}
    sizes = [(size, _accumulation(workload, size)) for size in batches or [workload.rows]]
    return [Variant(side, f"{size} x {parts}", size, parts, settings) for size, parts in sizes]


def alternating(ours: Sequence[Variant], others: Sequence[Variant]) -> list[Variant]:
    """Return all variants, one of ours after one of the others as long as there are both."""
    pairs = zip_longest(ours, others)
    return [variant for variant in chain.from_iterable(pairs) if variant is not None]


def _accumulation(workload: Workload, batch_size: int) -> int:
    if workload.rows % batch_size:
        raise ValueError(f"batch size {batch_size} does not divide {workload.name}'s {workload.rows} rows")
    return workload.rows // batch_size
