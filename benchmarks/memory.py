"""Predicted peak memory against the measured one, a process for each configuration.

    python -m benchmarks.memory MODEL --device-list cpu|gpu [--only N]... [--json FILE]

MODEL is a base model's folder: on a CPU the built-in 135M model, on a GPU one of about 7B.
What is measured is what `mqlora-tui fit` measures. Rows are as long as they may be; all
their tokens carry loss, or half of them where it says so.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.workload import Workload, write_rows
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.fit.measure import Fit, measure_fit
from engine.project import Project

WITHIN = 0.15
"""How far the prediction may be from the measurement."""


@dataclass(frozen=True)
class Case:
    """One configuration."""

    rows: int
    length: int
    changes: dict[str, Any]
    half: bool = False
    """Whether only half of the tokens carry loss."""

    @property
    def name(self) -> str:
        """Rows, length and what is not as usual."""
        changed = [f"{key}={value}" for key, value in self.changes.items()]
        return " ".join([f"{self.rows} x {self.length}", *changed, *(["half trained"] if self.half else [])])

    @property
    def config(self) -> TrainingConfig:
        """The configuration to be measured."""
        sizes = {"batch_size": self.rows, "max_seq_length": self.length, "gradient_accumulation": 1}
        return TrainingConfig.parse({"gradient_checkpointing": "off", **sizes, **self.changes})


_RECOMPUTED = {"gradient_checkpointing": "on"}
_DORA = {"fine_tune_type": "dora"}
CASES = {
    "cpu": [
        Case(1, 128, {}),
        Case(1, 256, {}),
        Case(1, 512, {}),
        Case(2, 256, {}),
        Case(4, 128, {}),
        Case(4, 128, {}, half=True),
        Case(1, 256, {"lora_rank": 64}),
        Case(1, 256, {"lora_layers": 8}),
        Case(1, 256, {"lora_targets": "q_proj,v_proj"}),
        Case(1, 512, _RECOMPUTED),
        Case(2, 256, _RECOMPUTED),
        Case(1, 256, _DORA),
        Case(2, 256, _DORA),
        Case(1, 512, _RECOMPUTED | _DORA),
    ],
    "gpu": [
        Case(1, 512, {}),
        Case(4, 512, {}),
        Case(4, 512, {}, half=True),
        Case(4, 512, {"lora_rank": 64}),
        Case(4, 512, {"lora_layers": 8}),
        Case(4, 512, {"lora_targets": "q_proj,v_proj"}),
        Case(4, 512, _RECOMPUTED),
        Case(32, 96, {}),
        Case(8, 1024, {}),
        Case(8, 1024, _RECOMPUTED),
        Case(8, 1024, {"gradient_checkpointing": "auto"}),
        Case(1, 8192, _RECOMPUTED),
        Case(4, 512, _DORA),
    ],
}


def measured(model: Path, case: Case) -> Fit:
    """Measure a case in a project of its own.

    Raises:
        UserError: it takes too long, or a run would be refused.
    """
    with tempfile.TemporaryDirectory(prefix="mqlora-memory-") as folder:
        project = Project(Path(folder))
        project.models_dir.mkdir()
        (project.models_dir / model.name).symlink_to(model.resolve(), target_is_directory=True)
        if case.half:
            project.data_dir.mkdir()
            write_rows(project.train_file, Workload("half", case.rows, case.length, case.length), 1, model)
        return measure_fit(project, case.config)


def ratio(fit: Fit) -> float | None:
    """Return predicted / measured peak; None where one of them is missing."""
    if fit.measured is None or fit.measured.predicted is None:
        return None
    return fit.measured.predicted / fit.measured.peak


def line(case: Case, fit: Fit) -> str:
    """Return what was found as one line."""
    predicted, peak = (fit.measured.predicted, fit.measured.peak) if fit.measured else (None, None)
    shown = [f"{value / 1e9:9.3f}" if value else f"{'-':>9}" for value in (predicted, peak)]
    found = ratio(fit)
    end = f"{found:6.3f} {'ok' if abs(found - 1) <= WITHIN else 'OFF'}" if found else f"     - {fit.reason}"
    resident = f"{fit.measured.process / 1e9:9.3f} {fit.measured.seconds:8.3f}" if fit.measured else " " * 18
    return f"{case.name:<44} {shown[0]} {shown[1]} {resident} {end}"


def results(model: Path, cases: list[Case]) -> Iterator[tuple[Case, Fit]]:
    """Measure one case after the other; what cannot be measured is told and left out."""
    print(f"{'':<44} {'predicted':>9} {'measured':>9} {'process':>9} {'seconds':>8} {'ratio':>6}   (GB)")
    for case in cases:
        try:
            fit = measured(model, case)
        except UserError as error:
            print(f"{case.name:<44} {error}", flush=True)
            continue
        print(line(case, fit), flush=True)
        yield case, fit


def main() -> int:
    """Print a line for each case and how far the worst prediction is off; 1 if that is too far."""
    parser = argparse.ArgumentParser(description="Predicted against measured peak memory.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--device-list", choices=CASES, default="cpu")
    parser.add_argument("--only", type=int, action="append", help="number of a case, from 1; may be repeated")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    cases = CASES[options.device_list]
    chosen = [cases[number - 1] for number in options.only] if options.only else cases
    found = list(results(options.model, chosen))
    if options.json:
        figures = [{"case": case.name, **asdict(fit)} for case, fit in found]
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    ratios = [value for _case, fit in found if (value := ratio(fit))]
    if not ratios:
        return 1
    worst = max(ratios, key=lambda value: abs(value - 1))
    print(f"{len(ratios)} of {len(chosen)} compared: "
          f"median {statistics.median(ratios):.3f}, worst {worst:.3f}")  # fmt: skip
    return 0 if abs(worst - 1) <= WITHIN else 1


if __name__ == "__main__":
    sys.exit(main())
