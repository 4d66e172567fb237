"""A run has one owner, whatever happens at the same instant or is left of another."""

from tests.campaigns.common import broken
from tests.campaigns.owners import campaign
from tests.campaigns.plugin import Show

import pytest


@pytest.mark.parametrize(
    ("tries", "is_short"),
    [
        pytest.param(1, True, marks=pytest.mark.slow, id="short"),
        pytest.param(50, False, marks=pytest.mark.campaign, id="campaign"),
    ],
    indirect=["tries"],
)
def test_a_run_has_one_owner(tries: int, is_short: bool, show: Show) -> None:
    """The campaign: races, stale locks, and a clock that jumps."""
    results = campaign(tries, is_short)
    show("Who owns a run", results)
    assert broken(results) == []
