"""A short form of the campaign over bytes, and proof that it would see a line that is lost."""

import json
from collections.abc import Iterator
from pathlib import Path

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from tests.campaigns import fuzz_checks
from tests.campaigns.fuzz_data import with_hypothesis
from tests.campaigns.fuzz_target import Target

import pytest

GOOD = b'{"text": "um"}\n{"text": "dois"}\n'


def test_no_bytes_break_the_reading_of_data(tmp_path: Path) -> None:
    """The broken files of the tests, then a second of others."""
    result = with_hypothesis(1, tmp_path / "crashes")
    assert result.tries > 70 and result.survived == result.tries
    assert not (tmp_path / "crashes").exists()


def without_last(path: Path) -> Iterator[Row | Fault]:
    yield from list(read_rows(path))[:-1]


def a_line_further(path: Path) -> Iterator[Row | Fault]:
    for item in read_rows(path):
        yield Row(item.line + 1, item.messages, item.text) if isinstance(item, Row) else item


def in_capitals(path: Path) -> Iterator[Row | Fault]:
    for item in read_rows(path):
        yield Row(item.line, item.messages, item.text.upper()) if isinstance(item, Row) else item


@pytest.mark.parametrize("reader", [without_last, a_line_further, in_capitals])
def test_the_campaign_sees_what_is_lost_or_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: object
) -> None:
    """Readers with a defect are found out, and the input is kept with its traceback."""
    monkeypatch.setattr(fuzz_checks, "read_rows", reader)
    with pytest.raises(AssertionError):
        Target(tmp_path)(GOOD)
    (kept,) = tmp_path.glob("crash-*.jsonl")
    assert kept.read_bytes() == GOOD and "AssertionError" in kept.with_suffix(".txt").read_text()


def test_the_shortest_of_inputs_that_fail_at_one_place_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that there is little to read."""
    monkeypatch.setattr(fuzz_checks, "read_rows", without_last)
    target = Target(tmp_path)
    row = json.dumps({"text": "um"}).encode() + b"\n"
    for content in (row * 3, row, row * 2):
        with pytest.raises(AssertionError):
            target(content)
    (kept,) = tmp_path.glob("crash-*.jsonl")
    assert kept.read_bytes() == row and target.executions == 3
