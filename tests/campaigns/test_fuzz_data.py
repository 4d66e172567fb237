"""No bytes break the reading of data, and proof that a line that is lost would be seen."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from tests.campaigns import fuzz_checks
from tests.campaigns.common import broken
from tests.campaigns.fuzz_data import kept, with_atheris, with_hypothesis
from tests.campaigns.fuzz_target import Target
from tests.campaigns.plugin import Show

import pytest

TITLE = "Fuzzed data files"
GOOD = b'{"text": "um"}\n{"text": "dois"}\n'


@pytest.mark.parametrize(
    ("minutes", "seed"),
    [
        pytest.param(1 / 60, 0, id="short"),
        pytest.param(1.0, None, marks=pytest.mark.campaign, id="hypothesis"),
    ],
    indirect=True,
)
def test_no_bytes_break_the_reading_of_data(minutes: float, seed: int, tmp_path: Path, show: Show) -> None:
    """The campaign: the broken files of the tests, then others for a time; what fails is kept."""
    result = with_hypothesis(60 * minutes, tmp_path / "crashes", seed)
    show(TITLE, [result])
    assert kept(tmp_path / "crashes") == [] and broken([result]) == []
    assert result.tries > 70


@pytest.mark.campaign
@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="atheris is not installed")
@pytest.mark.parametrize("minutes", [pytest.param(1.0, id="atheris")], indirect=True)
def test_no_bytes_that_lead_to_new_code_break_the_reading_of_data(
    minutes: float, tmp_path: Path, show: Show
) -> None:
    """The campaign as libFuzzer leads it; what fails is kept."""
    result = with_atheris(60 * minutes, tmp_path / "crashes")
    show(TITLE, [result])
    assert kept(tmp_path / "crashes") == [] and broken([result]) == []


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
