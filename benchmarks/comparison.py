"""All variants of both sides on one workload: run in turn, printed as they end, compared."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.flops import dimensions_of, flops_per_token
from benchmarks.job import ALPHA, RANK, Job, Record, run_child
from benchmarks.results import HEADER, Run, describe, disagreement, ratios, summarize
from benchmarks.variants import (
    BASELINES,
    COMPILED,
    FLOAT32,
    INSTALLED,
    OURS,
    PACKED,
    PEFT,
    Variant,
    alternating,
    mlx_lm_variants,
    our_variant,
    peft_variants,
)
from benchmarks.workload import Lengths, Workload, write_rows
from engine.config import TrainingConfig

# Writes a copy of a model with every float in one dtype: packed weights stay packed, or are unpacked.
_CONVERT = (
    "import sys, engine.backend; from mlx_lm import convert; "
    "convert(sys.argv[1], sys.argv[2], dequantize=sys.argv[3] == 'True', dtype=sys.argv[4])"
)


class Comparison:
    """All runs of one workload."""

    def __init__(self, options: argparse.Namespace, workload: Workload, folder: Path, end: float) -> None:
        """Write the rows.

        Args:
            options: of the command line.
            workload: what is trained on.
            folder: where rows and copies of the model go.
            end: moment of `time.monotonic` after which no run starts and none goes on.
        """
        self._options, self._workload, self._end = options, workload, end
        self._rows = folder / f"{workload.name}.jsonl"
        self._models = {OURS: options.model, INSTALLED: options.model}
        self._folder = folder
        self.lengths: Lengths = write_rows(
            self._rows, workload, max(options.steps, options.data_steps), options.model
        )
        config = TrainingConfig(lora_rank=RANK, lora_alpha=ALPHA)
        self._flops = flops_per_token(dimensions_of(options.model), config, self.lengths)
        self.runs: list[Run] = []

    def run(self) -> None:
        """Run every variant as often as wanted, and print lines as they come."""
        self._announce()
        variants = self._variants()
        for repetition in range(1, self._options.repetitions + 1):
            for variant in variants:
                found = self._measure(variant, repetition)
                if isinstance(found, str):
                    print(f"{repetition:>3} {variant.side:<18} {variant.name:<26} {found}", flush=True)
                    continue
                self.runs.append(Run(variant.side, variant.name, repetition, found, self._skip(variant)))
                print(describe(self.runs[-1], self._flops, self._options.peak_tflops), flush=True)
        self._conclude(variants)

    def _announce(self) -> None:
        tokens, options = self.lengths.tokens, self._options
        print(
            f"\n{self._workload.name}: {options.steps} steps of {self._workload.rows} rows "
            f"out of {len(tokens)} of "
            f"{min(tokens)}-{max(tokens)} tokens, {self.lengths.trained:.0%} of them trained; "
            f"the first {options.skip} steps do not count; {self._flops / 1e9:.3f} GFLOP a token\n{HEADER}",
            flush=True,
        )

    def _variants(self) -> list[Variant]:
        options, workload = self._options, self._workload
        ours = [our_variant(text, options.set, workload) for text in options.ours]
        usual = [FLOAT32, PACKED] if workload.name == "cpu" else [INSTALLED]
        baselines = [] if options.no_mlx_lm else options.baselines or usual
        others = [variant for side in baselines for variant in self._others(side)]
        for side in set(baselines) - {INSTALLED}:
            self._models[side] = self._copy(side)
        return alternating(ours, others)

    def _others(self, side: str) -> list[Variant]:
        options, workload = self._options, self._workload
        if side in (PEFT, COMPILED):
            return peft_variants(side, workload, options.peft_batches)
        return mlx_lm_variants(side, workload, options.mlx_lm_batches, options.grad_checkpoint)

    def _copy(self, side: str) -> Path:
        """Write a side's copy of the model, unless it is there."""
        on_gpu = side in (PEFT, COMPILED) and self._workload.name != "cpu"
        unpacked, dtype = side != PACKED, "bfloat16" if on_gpu else "float32"
        target = self._folder / f"{'unpacked' if unpacked else 'packed'} {dtype}"
        if not target.exists():
            write_copy(self._options.model, target, unpacked, dtype)
        return target

    def _is_slow(self, variant: Variant) -> bool:
        """Whether it is mlx-lm on a CPU with the BLAS of MLX's wheel."""
        return self._workload.name == "cpu" and variant.side in (INSTALLED, PACKED)

    def _skip(self, variant: Variant) -> int:
        """Return how many steps do not count: of slow ones only the first, if there is another."""
        return min(1, self._options.slow_steps - 1) if self._is_slow(variant) else int(self._options.skip)

    def _measure(self, variant: Variant, repetition: int) -> Record | str:
        left = self._end - time.monotonic()
        if left <= 0:
            return "not run: the time is over"
        job = Job(
            model=str(self._models[variant.side].resolve()),
            rows=str(self._rows),
            steps=self._options.slow_steps if self._is_slow(variant) else self._options.steps,
            batch_size=variant.batch_size,
            accumulation=variant.accumulation,
            max_seq_length=max(self._workload.longest, self.lengths.longest),
            settings=variant.settings,
        )
        return run_child(variant.module, job, left)

    def _conclude(self, variants: list[Variant]) -> None:
        """Print each variant's medians and the ratios of ours to the others."""
        found = [[run for run in self.runs if (run.side, run.variant) == (v.side, v.name)] for v in variants]
        groups = [runs for runs in found if runs]
        for runs in groups:
            print(summarize(runs, self._flops, self._options.peak_tflops))
        for runs in groups:
            for side in BASELINES:
                others = [other for other in groups if other[0].side == side]
                if runs[0].side == OURS and others:
                    print("\n".join(ratios(runs, others)))
        if warning := disagreement(self.runs):
            print(warning)
        sys.stdout.flush()


def write_copy(model: Path, target: Path, unpacked: bool, dtype: str) -> None:
    """Write a copy of a model folder in another dtype, by mlx-lm's converter in a process of its own."""
    command = [sys.executable, "-c", _CONVERT, str(model), str(target), str(unpacked), dtype]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
