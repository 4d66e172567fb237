"""This engine against `mlx_lm.lora` and Hugging Face PEFT: same model, rows, adapter, optimizer, batch size.

    python -m benchmarks.speed MODEL --workload long --peak-tflops 989
    python -m benchmarks.speed MODEL --workload short --ours auto \\
        --ours "lean:frozen_weights=transient,gradient_checkpointing=on" --mlx-lm-batches 32 4
    python -m benchmarks.speed MODEL --workload cpu --slow-steps 3

Every run is a process of its own, the sides alternate, and each line is printed when
its run ends. tok/s are real tokens (prompts included, padding not) a second, the median over
the steps after the first `--skip`, in which shapes are compiled. mlx_lm is run in
each of its sensible batch sizes ("4 x 2": 4 rows, 2 accumulated); ratios are against
the best. peak GB: `mx.get_peak_memory`; held GB: what MLX held at the end, its cache of
freed buffers included. TFLOP/s: see benchmarks/flops.py. A run that fails has a line
that says so.

The workload `cpu` takes the sample data and two more baselines: "mlx_lm packed f32", as
installed but with the scales of the 4-bit weights in float32 (16-bit products are 40
times slower with the wheel's BLAS, so the model as it is takes half an hour a step:
`--baselines mlx_lm --rows 1 --slow-steps 1`), and "mlx_lm openblas", float32 weights and
OpenBLAS. The copies of the model are written by mlx-lm's own converter.

The baselines "peft" and "peft compiled" (extra `peers`, see benchmarks/peft_lora.py) have unquantised
weights: `--baselines peft "peft compiled"`. On a CPU their peak is that of the whole process, ours of
MLX's arrays. All sides take the cores that the process may use: `taskset -c 0 python -m
benchmarks.speed ...` compares them on one.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.comparison import Comparison
from benchmarks.variants import BASELINES
from benchmarks.workload import WORKLOADS


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("model", type=Path, help="folder of the base model")
    add("--workload", nargs="+", choices=WORKLOADS, default=["cpu"])
    add("--steps", type=int, default=12, help="optimizer steps of a run")
    add("--data-steps", type=int, default=64, help="steps that the data are enough for, if not all are made")
    add("--skip", type=int, default=4, help="first steps that do not count")
    add("--repetitions", type=int, default=3, help="runs of each variant")
    add("--ours", action="append", default=[], metavar="NAME[:KEY=VALUE,...]", help="a variant of ours")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of all of ours")
    add("--no-ours", action="store_true", help="only the others")
    add("--no-mlx-lm", action="store_true", help="only ours")
    add("--baselines", nargs="+", choices=BASELINES, default=[], help="which others (see above)")
    add("--mlx-lm-batches", nargs="+", type=int, default=[], metavar="ROWS", help="its batch sizes")
    add("--peft-batches", nargs="+", type=int, default=[], metavar="ROWS", help="PEFT's batch sizes")
    add("--grad-checkpoint", action="store_true", help="mlx_lm also with its gradient checkpointing")
    add(
        "--slow-steps", type=int, default=3, help="steps of mlx_lm on a CPU without OpenBLAS, one not counted"
    )
    add("--rows", type=int, help="rows of a step, instead of the workload's")
    add("--peak-tflops", type=float, help="of the chip in the compute dtype, for shares (H100 bf16: 989)")
    add("--budget", type=float, default=float("inf"), help="seconds for everything; later runs are left out")
    add("--json", type=Path, help="file for every step of every run")
    return parser.parse_args()


def main() -> None:
    """Compare on each workload."""
    options = _options()
    options.ours = [] if options.no_ours else options.ours or ["auto"]
    end = time.monotonic() + options.budget
    raw: dict[str, list[dict[str, object]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.workload:
            workload = WORKLOADS[name]
            workload = replace(workload, rows=options.rows or workload.rows)
            comparison = Comparison(options, workload, Path(folder), end)
            comparison.run()
            raw[name] = [asdict(run) for run in comparison.runs]
            if options.json:
                options.json.write_text(json.dumps(raw))


if __name__ == "__main__":
    main()
