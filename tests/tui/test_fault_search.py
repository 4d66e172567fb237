"""Counting and searching faults."""

from dataclasses import replace

from engine.dataset.report import Fault, Place, Severity
from tui.app.screens.data.fault_search import FaultFilter, overview, search

import pytest

EMPTY = Fault("train.jsonl", 12, None, "empty_completion", "error", "completion is empty", "write it")
FAULTS = (
    EMPTY,
    Fault("train.jsonl", 40, 7, "invalid_json", "error", "not JSON: a colon is expected", "mend it"),
    Fault("train.jsonl", 41, None, "invalid_json", "error", "not JSON: the line ends too early", "drop it"),
    Fault("valid.jsonl", 5, None, "leak", "warning", "in TRAIN too", "drop it", Place("train.jsonl", 3)),
    Fault("train.jsonl", 0, None, "byte_order_mark", "note", "it begins with a mark", "nothing"),
)


@pytest.mark.parametrize(
    ("text", "severity", "lines"),
    [
        ("", None, [12, 40, 41, 5, 0]),
        ("INVALID", None, [40, 41]),  # the kind
        ("colon", None, [40]),  # the message
        ("train", None, [12, 40, 41, 5, 0]),  # the file, and a message in capitals
        ("valid.jsonl", None, [5]),
        ("41", None, [41]),  # the line
        (" early  json ", None, [41]),  # every word, in any order
        ("nothing", None, []),  # the fix is not looked at
        ("", "error", [12, 40, 41]),
        ("train", "warning", [5]),
        ("leak", "error", []),
    ],
)
async def test_a_filter_looks_at_kind_message_file_line_and_severity(
    text: str, severity: Severity | None, lines: list[int]
) -> None:
    """Capitals do not matter."""
    found = await search(FAULTS, FaultFilter(text, severity), 500)
    assert ([fault.line for fault in found.first], found.total) == (lines, len(lines))


async def test_all_faults_are_searched_and_the_first_returned() -> None:
    """The number found is exact, however many are wanted."""
    many = tuple(replace(EMPTY, line=line) for line in range(10_001))
    found = await search(many, FaultFilter("empty"), 3)
    assert [fault.line for fault in found.first] == [0, 1, 2] and found.total == 10_001
    assert (await search(many, FaultFilter("10000"), 3)).total == 1


async def test_faults_are_counted_by_kind_and_pairs_picked_out() -> None:
    """What is worst and most frequent first."""
    counts = await overview((*FAULTS, *[EMPTY] * 7000))
    assert counts.kinds == (
        ("error", "empty_completion", 7001),
        ("error", "invalid_json", 2),
        ("warning", "leak", 1),
        ("note", "byte_order_mark", 1),
    )
    assert (counts.total, counts.count("warning"), counts.pairs) == (7005, 1, (FAULTS[3],))
