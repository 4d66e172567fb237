"""Seconds and memory of reading data files of many rows.

    python -m benchmarks.data_check [--rows 1000 100000 1000000] [--bytes 200]

Kinds of files: prompt/completion pairs; pairs with quotes inside and an identifier;
conversations; pairs of which every tenth is broken. Each is read in a process of its own.
peak MB: the most memory that process held, Python and imports included.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

KINDS = ("plain", "quoted", "messages", "broken")
_READ = """
import sys, time
from pathlib import Path
from engine.config import TrainingConfig
from engine.dataset.loading import load_file
begin = time.perf_counter()
report = load_file(Path(sys.argv[1]), None, TrainingConfig()).report
seconds = time.perf_counter() - begin
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(seconds, peak.split()[1], report.rows, report.examples)
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


def measure(path: Path) -> tuple[float, float, int, int]:
    """Return seconds, peak memory in MB, rows and usable rows."""
    command = [sys.executable, "-c", _READ, str(path)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(found[0]), int(found[1]) / 1000, int(found[2]), int(found[3])


def main() -> None:
    """Print a line for each kind and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--bytes", type=int, default=200, help="of a line")
    options = parser.parse_args()
    print(f"{'kind':<8} {'rows':>9} {'seconds':>8} {'peak MB':>8} {'usable':>9}")
    for kind in KINDS:
        for rows in options.rows:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "train.jsonl"
                with path.open("w", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in lines(kind, rows, options.bytes))
                seconds, peak, _read, usable = measure(path)
            print(f"{kind:<8} {rows:>9,} {seconds:>8.2f} {peak:>8.0f} {usable:>9,}", flush=True)


if __name__ == "__main__":
    main()
