"""A short form of the attack with numbers that are not finite."""

from tests.campaigns.numbers import campaign

import pytest


@pytest.mark.slow
def test_bad_numbers_are_told_and_never_saved() -> None:
    """A streak of each kind, also with pauses and sudden ends inside."""
    results = campaign(tries=1)
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []
