"""A short form of the attacks on a run's one owner."""

from tests.campaigns.owners import campaign

import pytest


@pytest.mark.slow
def test_a_run_has_one_owner() -> None:
    """Races, stale locks, and a clock that jumps."""
    results = campaign(tries=1, is_short=True)
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []
