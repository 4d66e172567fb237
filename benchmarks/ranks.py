"""How much faster processes that train together are than one, with the real program.

    python -m benchmarks.ranks MODEL --ranks 1,2 --workload long --steps 30 --rounds 2

MODEL is a model folder (`benchmarks.random_model` makes one). Each round runs every number of ranks once,
so that a slow moment of the machine falls on all; `--set gradient_accumulation=2` changes a setting of all.
Printed are tokens a second (the median over the steps after the first ones), the ratio to one rank, peak
memory of the first rank, seconds from the start of the program to the first step, the largest difference of
a step's loss from that of one rank, and the first digits of the SHA-256 of the adapters.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.workload import WORKLOADS, write_rows
from engine.fingerprint import file_sha256
from engine.project import Project

_ROOT = Path(__file__).resolve().parents[1]
_FIRST = 5
"""Steps that do not count: shapes are compiled in them."""
HEADER = f"{'ranks':>5} {'tok/s':>9} {'s/step':>8} {'peak GB':>8} {'begins s':>8} {'differs':>8}  adapters"


@dataclass(frozen=True)
class RanksRun:
    """One run of the program."""

    ranks: int
    rows: list[dict[str, Any]]
    """Lines of its metrics."""
    first_step_s: float
    """From the start of the program."""
    sha256: str
    """Of the adapters."""

    @property
    def rate(self) -> float:
        """Real tokens a second, median."""
        return median(float(row["tokens_per_second"]) for row in self.rows[_FIRST:])

    def differs(self, other: "RanksRun") -> float:
        """Return the largest relative difference of a step's loss."""
        pairs = zip(self.rows, other.rows, strict=True)
        return max(float(abs(a["loss"] - b["loss"]) / b["loss"]) for a, b in pairs)

    def line(self, alone: "RanksRun") -> str:
        """Return its line below `HEADER`."""
        seconds = median(row["tokens"] / row["tokens_per_second"] for row in self.rows[_FIRST:])
        peak = max(row["peak_memory_gb"] for row in self.rows)
        return (
            f"{self.ranks:5} {self.rate:9,.0f} {seconds:8.3f} {peak:8.2f} {self.first_step_s:8.1f} "
            f"{self.differs(alone):8.1e}  {self.sha256[:12]}"
        )


def run_once(project: Project, ranks: int, settings: Sequence[str]) -> RanksRun:
    """Train from the beginning with so many processes.

    Raises:
        SystemExit: the program failed; with what it printed.
    """
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "train", "--restart", "--json"]
    command += ["--ranks", str(ranks)] if ranks > 1 else []
    began, first, said = time.monotonic(), 0.0, list[str]()
    with subprocess.Popen(
        [*command, *settings], cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if not first and '"step_done"' in line:
                first = time.monotonic() - began
    if process.returncode:
        raise SystemExit("".join(said[-5:]))
    rows = [json.loads(line) for line in project.metrics_file.read_text().splitlines()]
    last = max(project.run_dir.glob("checkpoint_*"), key=lambda folder: folder.stat().st_mtime)
    return RanksRun(ranks, rows, first, file_sha256(last / "adapters.safetensors"))


def prepare(
    folder: Path, model: Path, workload: str, steps: int, changed: dict[str, str]
) -> tuple[Project, list[str]]:
    """Make a project with rows for so many steps of the workload; return it with its settings.

    Args:
        folder: an empty one.
        model: a model's folder.
        workload: a name of `WORKLOADS`.
        steps: how many.
        changed: settings that are otherwise than here.
    """
    work, project = WORKLOADS[workload], Project(folder)
    project.models_dir.mkdir()
    (project.models_dir / model.name).symlink_to(model.resolve())
    project.data_dir.mkdir()
    write_rows(project.train_file, work, steps, model)
    write_rows(project.valid_file, work, 1, model, seed=1)
    values = {
        "model": model.name, "batch_size": work.rows, "gradient_accumulation": 1, "num_epochs": 1,
        "max_seq_length": work.longest or 512, "lora_rank": 8, "lora_dropout": 0, "eval_every": 0,
        "save_every": 0, "answers_percent": 0, **changed,
    }  # fmt: skip
    return project, [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--ranks", default="1,2", help="numbers of processes, the first of which is 1")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), default="cpu")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of all runs")
    asked = parser.parse_args(arguments)
    changed = dict(text.split("=", 1) for text in asked.set)
    numbers = [int(text) for text in asked.ranks.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        project, settings = prepare(Path(folder), asked.model, asked.workload, asked.steps, changed)
        print(HEADER, flush=True)
        runs: list[RanksRun] = []
        for _round in range(asked.rounds):
            for ranks in numbers:
                runs.append(run_once(project, ranks, settings))
                print(runs[-1].line(runs[0]), flush=True)
        for ranks in numbers[1:]:
            pairs = [
                median(run.rate for run in runs if run.ranks == number) for number in (ranks, numbers[0])
            ]
            print(f"{ranks} ranks: {pairs[0] / pairs[1]:.2f} x one")


if __name__ == "__main__":
    main()
