"""Any bytes as a data file: nothing crashes, no line is lost or misplaced, no text is changed.

Run it from the checkout: `python -m tests.campaigns.fuzz_data --seconds 60`. With `--engine atheris`,
which has to be installed for it, the search is led by the code that inputs reach. Inputs that fail are
kept, with their traceback.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from tests.campaigns.common import ROOT, Result, print_results
from tests.campaigns.fuzz_inputs import WORDS, broken_files, seeds
from tests.campaigns.fuzz_target import Target

from hypothesis import HealthCheck, Phase, given, settings

_ENGINE = str(ROOT / "engine" / "dataset")
_LONGEST_WORD = 60
"""Of a dictionary of libFuzzer's, in bytes."""
_LONGEST = 8192
"""Bytes of an input that atheris makes."""
_SLOWEST_S = 30
"""An input that takes longer is a failure."""


class Lines:
    """The lines of `engine.dataset` that were run inside its `with` blocks."""

    def __init__(self) -> None:
        """None was run."""
        self.seen: set[tuple[str, int]] = set()

    def __enter__(self) -> None:
        sys.settrace(self._call)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        return self._line if frame.f_code.co_filename.startswith(_ENGINE) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


def with_hypothesis(seconds: float, crashes: Path) -> Result:
    """Check the seeds, then files that hypothesis draws and shrinks."""
    target, lines = Target(crashes), Lines()

    def check(content: bytes) -> None:
        if time.monotonic() < end:
            with lines:
                target(content)

    end = float("inf")
    failed = sum(_fails(check, seed) for seed in seeds())
    begin_lines, begin = len(lines.seen), time.monotonic()
    end, drawn = begin + seconds, target.executions
    search = settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )(given(broken_files)(check))
    while time.monotonic() < end:
        failed += _fails(search)
    rate = (target.executions - drawn) / (time.monotonic() - begin)
    remark = _remark(rate, "lines", begin_lines, len(lines.seen))
    return Result("hypothesis", target.executions, target.executions - failed, remark=remark)


def _fails(check: Callable[..., None], *arguments: bytes) -> bool:
    try:
        check(*arguments)
    except Exception as error:  # whatever it is, the input is kept
        print(f"FAILED {type(error).__name__}: {str(error)[:500]}", file=sys.stderr)
        return True
    return False


def with_atheris(seconds: float, crashes: Path) -> Result:
    """Let libFuzzer change the seeds in a process of its own, led by the branches that are taken."""
    crashes.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus, words = Path(folder) / "corpus", Path(folder) / "words"
        corpus.mkdir()
        for number, seed in enumerate(seeds()):
            (corpus / str(number)).write_bytes(seed)
        words.write_text("".join(f'"{_escaped(w)}"\n' for w in WORDS if len(w) <= _LONGEST_WORD))
        arguments = [str(crashes), f"-artifact_prefix={crashes}/", f"-dict={words}", str(corpus)]
        arguments += [f"-max_total_time={seconds:.0f}", f"-timeout={_SLOWEST_S}"]
        arguments += [f"-max_len={_LONGEST}", "-print_final_stats=1"]
        done = subprocess.run(
            [sys.executable, "-m", "tests.campaigns.fuzz_atheris", *arguments],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    executions = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    reached = [int(number) for number in re.findall(r"cov: (\d+)", done.stdout)]
    if not executions or not reached:
        raise SystemExit(f"atheris did not run (python -m pip install atheris):\n{done.stdout[-2000:]}")
    count, failed = int(executions[1]), len(kept(crashes))
    begin = next(iter(re.findall(r"INITED cov: (\d+)", done.stdout)), reached[0])
    remark = _remark(count / seconds, "branches", int(begin), reached[-1])
    return Result("atheris", count, count - failed, remark=remark)


def kept(crashes: Path) -> list[Path]:
    """Return the inputs that failed: a check, or by libFuzzer's own measure of time and memory."""
    return sorted(path for path in crashes.glob("*") if path.suffix != ".txt")


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _remark(rate: float, what: str, begin: int, end: int) -> str:
    return f"{rate:.0f}/s; {what} reached: {begin} by the seeds, {end - begin} more"


ENGINES = {"hypothesis": with_hypothesis, "atheris": with_atheris}


def main() -> int:
    """Print the table; 1 if an input failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to search")
    parser.add_argument("--engine", choices=ENGINES, default="hypothesis", help="what makes the inputs")
    parser.add_argument("--crashes", type=Path, help="where to keep inputs that fail; else a new folder")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args()
    crashes = (options.crashes or Path(tempfile.mkdtemp(prefix="fuzz-data-"))).resolve()
    result = ENGINES[options.engine](options.seconds, crashes)
    print_results("fuzzed data files", [result], options.json)
    failed = kept(crashes)
    for path in failed:
        print(f"kept {path}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
