"""Any bytes as a data file: nothing crashes, no line is lost or misplaced, no text is changed.

Hypothesis draws the inputs; where atheris is installed, libFuzzer looks for others, led by the code that
they reach. Inputs that fail are kept, with their traceback.
"""

import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from tests.campaigns.common import ROOT, Result
from tests.campaigns.fuzz_inputs import WORDS, broken_files, seeds
from tests.campaigns.fuzz_target import Target

import hypothesis
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


def with_hypothesis(seconds: float, crashes: Path, seed: int) -> Result:
    """Check the seeds, then files that hypothesis draws from `seed` on, and shrinks."""
    target, lines = Target(crashes), Lines()

    def check(content: bytes) -> None:
        if time.monotonic() < end:
            with lines:
                target(content)

    end = float("inf")
    failed = sum(_fails(check, content) for content in seeds())
    begin_lines, begin = len(lines.seen), time.monotonic()
    end, drawn = begin + seconds, target.executions
    search = settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )(given(broken_files)(check))
    for number in count(seed):
        if time.monotonic() >= end:
            break
        failed += _fails(hypothesis.seed(number)(search))
    rate = (target.executions - drawn) / (time.monotonic() - begin)
    remark = _remark(rate, "lines", begin_lines, len(lines.seen))
    return Result(f"hypothesis, seed {seed}", target.executions, target.executions - failed, remark=remark)


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
        arguments += [f"-max_total_time={math.ceil(seconds)}", f"-timeout={_SLOWEST_S}"]
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
        raise AssertionError(f"atheris did not run:\n{done.stdout[-2000:]}")
    number, failed = int(executions[1]), len(kept(crashes))
    begin = next(iter(re.findall(r"INITED cov: (\d+)", done.stdout)), reached[0])
    remark = _remark(number / seconds, "branches", int(begin), reached[-1])
    return Result("atheris", number, number - failed, remark=remark)


def kept(crashes: Path) -> list[Path]:
    """Return the inputs that failed: a check, or by libFuzzer's own measure of time and memory."""
    return sorted(path for path in crashes.glob("*") if path.suffix != ".txt")


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _remark(rate: float, what: str, begin: int, end: int) -> str:
    return f"{rate:.0f}/s; {what} reached: {begin} by the seeds, {end - begin} more"
