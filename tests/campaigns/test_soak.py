"""A long run leaves nothing open."""

from pathlib import Path

from tests.campaigns.plugin import Show
from tests.campaigns.soak import left_open, parts, soak, summary

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
