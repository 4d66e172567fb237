"""A disk that takes no more at any write of a run."""

from tests.campaigns.common import broken
from tests.campaigns.disk import campaign
from tests.campaigns.plugin import Show

import pytest


@pytest.mark.parametrize(
    ("tries", "seed"),
    [
        pytest.param(1, 7, marks=pytest.mark.slow, id="short"),
        pytest.param(None, 0, marks=pytest.mark.campaign, id="campaign"),
    ],
    indirect=True,
)
def test_a_disk_that_takes_no_more_loses_nothing(tries: int | None, seed: int, show: Show) -> None:
    """The campaign; the short form draws a try of each kind. Some need the superuser."""
    results = campaign(tries, seed)
    show("A disk that takes no more", results)
    assert broken(results) == [] and len(results) >= 5
