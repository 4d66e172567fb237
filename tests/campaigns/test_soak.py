"""A long run leaves nothing open, and proof that it would be seen."""

from pathlib import Path

from tests.campaigns.plugin import Show
from tests.campaigns.soak import Sample, left_open, parts, soak, summary

import pytest


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.model
@pytest.mark.parametrize("minutes", [pytest.param(30.0, id="campaign")], indirect=True)
def test_a_long_run_leaves_nothing_open(tmp_path: Path, minutes: float, show: Show) -> None:
    """The campaign: descriptors, threads and processes; what memory does is for people to read."""
    samples = soak(tmp_path, minutes)
    show("A long run", [*map(summary, parts(samples))])
    assert left_open(samples) == []


def test_what_stays_open_is_seen() -> None:
    """One descriptor more each time is, one that comes and goes is not."""
    growing = [Sample(number, number, 100.0, 20 + number, 8, 1) for number in range(30)]
    steady = [Sample(number, number, 100.0, 20 + number % 3, 8, 1) for number in range(30)]
    assert left_open(growing) == ["handles: 22, then 47"] and left_open(steady) == []
