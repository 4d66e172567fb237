"""How speed and memory of this engine grow with sequence length, batch and number of adapted layers.

    python -m benchmarks.growth MODEL --peak-tflops 989
    python -m benchmarks.growth MODEL --tables length --lengths 128 256 512 --tokens 1024

Each point is a short run through the trainer in this one process; each table
changes one thing. `length`: steps of about the same number of tokens in fewer, longer
rows. `batch`: more rows of one length. `layers`: an adapter on the last layers alone,
gradients go back no further.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.flops import dimensions_of, flops_per_token
from benchmarks.job import Job
from benchmarks.results import Run
from benchmarks.workload import Lengths, Workload, write_rows
from engine.config import TrainingConfig, parse_assignment

TABLES = ("length", "batch", "layers")


@dataclass(frozen=True)
class Point:
    """One line of a table."""

    rows: int
    """Of a step, and of a micro-batch as far as the engine likes."""
    length: int
    """Tokens of each row."""
    layers: int = -1
    """Layers with an adapter, counted from the last; -1 is all."""


def points(table: str, options: argparse.Namespace) -> list[Point]:
    """Return the lines of a table."""
    if table == "length":
        return [Point(max(1, options.tokens // length), length) for length in options.lengths]
    if table == "batch":
        return [Point(rows, options.length) for rows in options.rows]
    return [Point(max(1, options.tokens // options.length), options.length, n) for n in options.layers]


def lines(table: str, options: argparse.Namespace) -> Iterator[str]:
    """Measure a table's points and yield its lines."""
    yield f"\n{table}\n{'rows':>6} {'tokens':>7} {'layers':>7} {'tok/s':>10} {'s/step':>8} {'peak GB':>8}"
    for point in points(table, options):
        layers = "all" if point.layers < 0 else str(point.layers)
        title = f"{point.rows:>6} {point.length:>7} {layers:>7}"
        try:
            yield f"{title} {_measured(point, options)}"
        except Exception as error:  # memory ran out, in whatever form: the next point may fit
            yield f"{title} {type(error).__name__}: {str(error).splitlines()[0][:200]}"


def _measured(point: Point, options: argparse.Namespace) -> str:
    settings: dict[str, Any] = {"lora_layers": point.layers, **dict(map(parse_assignment, options.set))}
    with tempfile.TemporaryDirectory() as name:
        rows = Path(name) / "rows.jsonl"
        workload = Workload("growth", point.rows, point.length, point.length)
        lengths = write_rows(rows, workload, options.steps, options.model)
        model = str(options.model.resolve())
        job = Job(model, str(rows), options.steps, point.rows, 1, point.length, settings)
        run = Run("ours", "", 1, ours.measure(job, Path(name)), options.skip)
        return f"{run.rate:>10,.1f} {run.step_seconds:>8.3f} {run.record.peak_gb:>8.3f}" + _work(
            run, lengths, ours.make_config(job), options
        )


def _work(run: Run, lengths: Lengths, config: TrainingConfig, options: argparse.Namespace) -> str:
    work = run.rate * flops_per_token(dimensions_of(options.model), config, lengths) / 1e12
    share = f" {100 * work / options.peak_tflops:5.1f} % of peak" if options.peak_tflops else ""
    return f" {work:>8.3f} TFLOP/s{share}"


def main() -> None:
    """Print the tables, line by line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("model", type=Path, help="folder of the base model")
    add("--tables", nargs="+", choices=TABLES, default=TABLES)
    add("--lengths", nargs="+", type=int, default=[128, 256, 512, 1024, 2048, 4096, 8192])
    add("--tokens", type=int, default=8192, help="of a step in the tables length and layers")
    add("--rows", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    add("--length", type=int, default=512, help="of the rows in the tables batch and layers")
    add("--layers", nargs="+", type=int, default=[1, 4, 8, 16, -1])
    add("--steps", type=int, default=6, help="of a point, the last one not timed")
    add("--skip", type=int, default=2, help="first steps that do not count")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the engine")
    add("--peak-tflops", type=float, help="of the chip, for shares")
    options = parser.parse_args()
    for table in options.tables:
        for line in lines(table, options):
            print(line, flush=True)


if __name__ == "__main__":
    main()
