"""Seconds and memory of checking data files of many rows, stage by stage, and of cleaning them.

    python -m benchmarks.data_check [--rows 1000 100000 1000000] [--bytes 200] [--model DIR] [--clean]

Kinds of files: prompt/completion pairs; pairs with quotes inside and an identifier;
conversations; pairs of which every tenth is broken. Each is checked in a process of its own.
Stages: read (faults of rows), compared (duplicates), counted (tokens; only with `--model`).
MB: the most memory that process held by the end of the stage, Python and imports included.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from engine.project import Project

KINDS = ("plain", "quoted", "messages", "broken")
_CHECK = """
import sys, time
from pathlib import Path
from engine.config import TrainingConfig
from engine.dataset.inspect.check import check_stages
from engine.dataset.convert.clean import clean_data
from engine.project import Project
project, config = Project(Path(sys.argv[1])), TrainingConfig()
def told(stage, begin, rows):
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(stage, time.perf_counter() - begin, peak.split()[1], rows, flush=True)
begin = time.perf_counter()
for report in check_stages(project, config):
    told(report.stage, begin, report.train.examples)
    begin = time.perf_counter()
if "clean" in sys.argv:
    told("cleaned", begin, clean_data(project, config).train)
"""


def lines(kind: str, rows: int, size: int) -> Iterator[str]:
    """Yield lines of about `size` bytes."""
    draw = random.Random(0)
    for number in range(rows):
        pair = {"prompt": f"Question {number}: {draw.random()}?", "completion": "Answer "}
        if kind == "quoted":
            pair = {"id": str(number), **pair, "completion": 'It is "so". '}
        pair["completion"] += "x" * max(0, size - len(json.dumps(pair)))
        text = json.dumps(pair)
        if kind == "messages":
            turns = zip(("user", "assistant"), pair.values(), strict=True)
            text = json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]})
        yield text[:-2] if kind == "broken" and number % 10 == 0 else text


def measure(root: Path, clean: bool) -> Iterator[tuple[str, float, float, int]]:
    """Yield stage, seconds, peak memory in MB and usable rows."""
    command = [sys.executable, "-c", _CHECK, str(root), *["clean"] * clean]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            stage, seconds, peak, rows = line.split()
            yield stage, float(seconds), int(peak) / 1000, int(rows)
    if process.returncode:
        raise SystemExit(process.returncode)


def main() -> None:
    """Print a line for each kind and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--bytes", type=int, default=200, help="of a line")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--model", type=Path, help="base model's folder whose tokenizer counts")
    parser.add_argument("--clean", action="store_true", help="also write a cleaned copy")
    options = parser.parse_args()
    print(f"{'kind':<8} {'rows':>9} {'stage':<9} {'seconds':>8} {'MB':>6} {'usable':>9}")
    for kind, rows in product(options.kinds, options.rows):
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder))
            project.data_dir.mkdir()
            with project.train_file.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines(kind, rows, options.bytes))
            if options.model:
                project.models_dir.mkdir()
                (project.models_dir / options.model.name).symlink_to(options.model.resolve())
            for stage, seconds, peak, usable in measure(project.root, options.clean):
                print(
                    f"{kind:<8} {rows:>9,} {stage:<9} {seconds:>8.2f} {peak:>6.0f} {usable:>9,}", flush=True
                )


if __name__ == "__main__":
    main()
