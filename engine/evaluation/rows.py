"""The rows that models are compared on, and what the training rows have to do with them."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event as StopEvent

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.inspect.duplicates import DuplicateFinder
from engine.dataset.inspect.load import LoadedFile, load_file
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.jsonl.turns import Message, answers_of
from engine.errors import UserError
from engine.evaluation.answer_metrics import TrainedAnswers
from engine.i18n import _
from engine.training.notices import unusable

import numpy as np
from numpy.typing import NDArray

_TABLES = (".csv", ".tsv", ".parquet", ".xlsx")
"""Ends of names of files that `import` is for."""
_TRAIN, _ROWS = "train", "rows"
"""What `DuplicateFinder` knows the two files by: they may well have the same name."""


@dataclass(frozen=True)
class EvaluationRow:
    """One row with its tokens."""

    row: Row
    examples: tuple[Example, ...]
    """As training has them: one, or one for each answer."""

    @property
    def trained_tokens(self) -> int:
        """Tokens that carry loss."""
        return sum(int(example.trained.sum()) for example in self.examples)

    @property
    def question(self) -> list[Message]:
        """All turns before the last answer that is learned; empty where nothing can be asked.

        That is so of plain text, and of rows with tools: the chat takes none.
        """
        turns = self.row.messages
        if (
            not turns
            or self.row.tools
            or any("tool_calls" in turn or turn["role"] == "tool" for turn in turns)
        ):
            return []
        return list(turns[: self._last])

    @property
    def reference(self) -> str:
        """The last answer that is learned."""
        return str(self.row.messages[self._last]["content"]).strip()

    @property
    def _last(self) -> int:
        return max(index for index in answers_of(self.row.messages) if index not in self.row.untrained)


@dataclass(frozen=True)
class EvaluationRows:
    """All rows of a file that can be used."""

    rows: tuple[EvaluationRow, ...]
    left_out: tuple[int, ...]
    """Lines of those that cannot."""

    @property
    def tokens(self) -> NDArray[np.int64]:
        """Trained tokens of each row."""
        return np.array([each.trained_tokens for each in self.rows], np.int64)

    def spread(self, count: int) -> list[int]:
        """Return the places of at most `count` rows that can be asked, spread evenly over the file."""
        able = [index for index, each in enumerate(self.rows) if each.question]
        if len(able) <= count:
            return able
        return [able[int(place)] for place in (np.arange(count) + 0.5) * len(able) / count]


def read_evaluation_rows(path: Path, tokenize: ExampleTokenizer, config: TrainingConfig) -> EvaluationRows:
    """Read a file as training reads its validation rows: the same tokens, of which the same carry loss.

    Args:
        path: of the file.
        tokenize: of the run.
        config: of the run.

    Raises:
        UserError: the file cannot be read, or has no row that can be used.
    """
    loaded = load_file(path, tokenize, config)
    if not loaded.examples:
        raise _refusal(loaded, path)
    by_line: dict[int, list[Example]] = defaultdict(list)
    for example in loaded.examples:
        by_line[example.line].append(example)
    rows = (row for row in read_rows(path) if isinstance(row, Row) and row.line in by_line)
    left_out = sorted({fault.line for fault in loaded.report.faults if fault.leaves_out and fault.line})
    found = tuple(EvaluationRow(row, tuple(by_line[row.line])) for row in rows)
    return EvaluationRows(found, tuple(left_out))


def _refusal(loaded: LoadedFile, path: Path) -> UserError:
    if path.suffix.lower() in _TABLES:
        return UserError(
            _("{file} is a table, not rows").format(file=path),
            _("make rows of it with: mqlora-tui import {file}").format(file=shlex.quote(str(path))),
        )
    if loaded.report.rows:
        return unusable(loaded, path)
    return UserError(
        _("{file} has no rows").format(file=path),
        _('write one object a line: {"prompt": ..., "completion": ...}'),
    )


@dataclass(frozen=True)
class TrainingRows:
    """What the training rows tell of an evaluation."""

    answers: TrainedAnswers
    leaked: tuple[int, ...]
    """Lines of the evaluated rows whose question, or nearly the whole row, is also trained on."""


def compare_with_training(path: Path, rows: Sequence[EvaluationRow], stop: StopEvent) -> TrainingRows:
    """Look for the evaluated rows among the training rows, and take note of their answers.

    Args:
        path: of the training rows; without such a file nothing is found.
        rows: that are evaluated.
        stop: leaves the rest out.

    Raises:
        UserError: the file cannot be read.
    """
    finder, answers = DuplicateFinder(_TRAIN, _ROWS), TrainedAnswers()
    for row in _rows_of(path, stop):
        finder.see(_TRAIN, row)
        for index in answers_of(row.messages):
            if index not in row.untrained:
                answers.see(str(row.messages[index]["content"]), row.line)
    for each in rows:
        finder.see(_ROWS, each.row)
    leaked = {found.row.line for found in finder.duplicates() if found.kind in ("leak", "near_leak")}
    return TrainingRows(answers, tuple(sorted(leaked)))


def _rows_of(path: Path, stop: StopEvent) -> Iterator[Row]:
    if not path.exists():
        return
    for row in read_rows(path):
        if stop.is_set():
            return
        if isinstance(row, Row):
            yield row
