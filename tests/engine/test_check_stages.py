"""The data check in stages: each report knows more, it tells how far it is, and it can be ended."""

from pathlib import Path
from threading import Event

from engine.config import TrainingConfig
from engine.dataset.batches.tokenize import Example
from engine.dataset.inspect.check import check_data, check_stages
from engine.dataset.inspect.token_stats import TokenCounter
from engine.dataset.report import BINS, CheckStage
from engine.dataset.watch import EVERY
from engine.errors import Cancelled
from engine.project import Project
from tests.support.tiny import pairs, tiny_project, write_rows

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_each_report_knows_more_than_the_one_before(tmp_path: Path) -> None:
    """Faults of rows, then duplicates, then tokens; the last is the whole report."""
    project = tiny_project(tmp_path)
    rows = pairs(6)
    write_rows(project.train_file, [*rows, rows[0], {"prompt": 1}])
    read, compared, counted = check_stages(project, TrainingConfig())
    assert [report.stage for report in (read, compared, counted)] == ["read", "compared", "counted"]
    assert [fault.kind for fault in read.train.faults] == ["wrong_type"]
    assert [(fault.line, fault.kind) for fault in compared.train.faults] == [
        (7, "duplicate"),
        (8, "wrong_type"),
    ]
    assert [report.train.tokens is None for report in (read, compared, counted)] == [True, True, False]
    assert {report.train.examples for report in (read, compared, counted)} == {7}
    assert counted == check_data(project, TrainingConfig())


def test_without_a_model_nothing_is_counted(tmp_path: Path) -> None:
    """The report that compares is the last one then."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    write_rows(project.train_file, pairs(2))
    assert [report.stage for report in check_stages(project, TrainingConfig())] == ["read", "compared"]


def test_it_tells_how_far_it_is(tmp_path: Path) -> None:
    """File and lines, for each stage."""
    project = Project(tmp_path)
    project.data_dir.mkdir()
    write_rows(project.train_file, pairs(2 * EVERY + 1))
    write_rows(project.valid_file, pairs(EVERY))
    reported: list[tuple[CheckStage, str, int]] = []
    for _report in check_stages(project, TrainingConfig(), lambda *what: reported.append(what)):
        pass
    files = [("train.jsonl", EVERY), ("train.jsonl", 2 * EVERY), ("valid.jsonl", EVERY)]
    assert reported == [(stage, *file) for stage in ("read", "compared") for file in files]


def test_it_can_be_ended_and_what_was_known_stays(tmp_path: Path) -> None:
    """Set while tokens are counted: both reports before that were given."""
    project = tiny_project(tmp_path)
    write_rows(project.train_file, pairs(EVERY))
    end = Event()
    known: list[CheckStage] = []

    def on_progress(stage: CheckStage, _file: str, _lines: int) -> None:
        if stage == "counted":
            end.set()

    with pytest.raises(Cancelled):
        for report in check_stages(project, TrainingConfig(), on_progress, end):
            known.append(report.stage)
    assert known == ["read", "compared"]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 40)), max_size=30), st.integers(1, 40))
def test_figures_are_those_of_all_examples(sizes: list[tuple[int, int]], limit: int) -> None:
    """Against sums over the examples themselves; the first token is never trained."""
    examples = [
        Example(line, np.zeros(length, np.int32), np.arange(length) >= max(1, length - trained), True)
        for line, (length, trained) in enumerate(sizes, start=1)
    ]
    counter = TokenCounter(limit)
    kept = [cut for example in examples for cut in counter.see([example])]
    figures = counter.figures()
    if not examples:
        assert figures is None
        return
    assert figures is not None
    assert figures.total == sum(len(example.tokens) for example in kept)
    assert figures.trained == sum(int(example.trained.sum()) for example in kept)
    assert figures.cut == sum(max(0, len(example.tokens) - limit) for example in examples)
    assert figures.truncated_lines == tuple(e.line for e in examples if len(e.tokens) > limit)
    assert figures.dropped_lines == tuple(e.line for e in examples if not e.trained[:limit].any())
    for histogram, values in (
        (figures.histogram, [len(e.tokens) for e in examples]),
        (figures.completion_histogram, [int(e.trained.sum()) for e in examples]),
        (figures.prompt_histogram, [int((~e.trained).sum()) for e in examples]),
    ):
        assert histogram == tuple(_counted(values, figures.longest))


def _counted(values: list[int], longest: int) -> list[int]:
    """Return how many values lie in each bin; the last one holds its end too."""
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, value * BINS // longest)] += 1
    return counts


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 600))
def test_tokens_within_another_limit_are_told_from_the_histogram(lengths: list[int], limit: int) -> None:
    """Right to half a bin an example."""
    counter = TokenCounter(10_000)
    for length in lengths:
        counter.see([Example(1, np.zeros(length, np.int32), np.arange(length) > -1, True)])
    figures = counter.figures()
    assert figures is not None
    exact = sum(min(length, limit) for length in lengths)
    assert abs(figures.within(limit) - exact) <= len(lengths) * figures.longest / BINS / 2 + 1
    if limit >= max(lengths):
        assert figures.within(limit) == exact
