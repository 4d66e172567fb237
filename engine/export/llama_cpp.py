"""Scoring GGUF files with llama.cpp itself, in a process of its own: what ends that one ends nothing else.

Needs the extra `gguf-check` (PyPI `xllamacpp`, which is llama.cpp's server as a library).
"""

import json
import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from engine import child_process
from engine.dataset.batches.tokenize import Example
from engine.errors import UserError
from engine.export.score import Scores
from engine.i18n import _
from engine.sanitize import one_line

import numpy as np

_CHILD = ("-m", "engine.export.llama_cpp_child")
MOST_TOKENS = 128
"""Trained tokens that are scored: each is a request of its own."""
_LOG_TAIL = 20_000
"""Bytes of what llama.cpp wrote last that are looked at."""
_FAILURE = re.compile(r"^(?:[\d.]+ E +)?(.*(?:error|fail|ASSERT).*)$", re.MULTILINE)
"""With llama.cpp's sign of an error before it, or of no level."""
OnToken = Callable[[int, int], None]
"""Called with how many tokens are scored, and how many will be."""


@dataclass(frozen=True)
class LlamaCppFiles:
    """What llama.cpp loads."""

    model: Path
    adapter: Path | None = None


def is_installed() -> bool:
    """Whether llama.cpp can be asked here."""
    return find_spec("xllamacpp") is not None


def few_rows(examples: Sequence[Example], most: int = MOST_TOKENS) -> list[Example]:
    """Return the first rows with at most so many trained tokens in all; the first one at any rate."""
    rows: list[Example] = []
    for example in examples:
        most -= int(example.trained.sum())
        if rows and most < 0:
            break
        rows.append(example)
    return rows


def log_probabilities(
    files: LlamaCppFiles, examples: Sequence[Example], vocabulary: int, plain: int, on_token: OnToken
) -> Scores:
    """Return llama.cpp's log-probability of each trained token of some rows, in their order.

    Args:
        files: what to load.
        examples: rows; what comes before a token is given as the numbers that were trained.
        vocabulary: how many tokens the model has.
        plain: a token that is an ordinary letter.
        on_token: called after each with how many are scored, and how many will be.

    Raises:
        UserError: llama.cpp cannot load the files or ended.
    """
    asked = {
        "model": str(files.model),
        "adapter": str(files.adapter or ""),
        "context": max(len(example.tokens) for example in examples) + 8,
        "vocabulary": vocabulary,
        "plain": plain,
        "rows": [
            {"tokens": example.tokens.tolist(), "trained": np.flatnonzero(example.trained).tolist()}
            for example in examples
        ],
    }
    wanted = sum(int(example.trained.sum()) for example in examples)
    with tempfile.TemporaryFile() as log:
        with closing(_answers(asked, log)) as answers:
            found = np.fromiter(_counted(answers, wanted, on_token), np.float64)
        if len(found) != wanted:
            problem = _("llama.cpp ended while it read {file}").format(file=files.model.name)
            if said := _last_words(log):
                problem = _("{problem}, and said: {said}").format(problem=problem, said=said)
            raise UserError(problem, _("update it with: pip install --upgrade xllamacpp"))
    return found


def _last_words(log: IO[bytes]) -> str:
    """Return the first line of the log's end that tells of a failure; empty where none does."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _LOG_TAIL))
    found = _FAILURE.search(log.read().decode("utf-8", "replace"))
    return one_line(found[1].strip(), 200) if found else ""


def _counted(answers: Iterator[float], wanted: int, on_token: OnToken) -> Iterator[float]:
    for number, answer in enumerate(answers, 1):
        on_token(min(number, wanted), wanted)
        yield answer


def _answers(asked: dict[str, object], log: IO[bytes]) -> Generator[float, None, None]:
    child = child_process.start(_CHILD, log)
    assert child.stdin and child.stdout
    try:
        with suppress(BrokenPipeError):
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.flush()
        for message in child_process.messages(child.stdout):
            if "log_probability" in message:
                yield float(message["log_probability"])
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
