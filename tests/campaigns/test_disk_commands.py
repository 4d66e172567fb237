"""A short form of the attack on the command line's disk."""

from tests.campaigns.disk_commands import campaign

import pytest


@pytest.mark.slow
def test_a_command_on_a_full_disk_ends_in_one_sentence_and_exit_1() -> None:
    """One try of each kind; those that need the superuser are left out for others."""
    results = campaign(tries=1)
    assert len(results) >= 2
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []
