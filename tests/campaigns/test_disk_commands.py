"""A disk that takes no more, met through the command line."""

from tests.campaigns.common import broken
from tests.campaigns.disk_commands import campaign
from tests.campaigns.plugin import Show

import pytest


@pytest.mark.parametrize(
    "tries",
    [
        pytest.param(1, marks=pytest.mark.slow, id="short"),
        pytest.param(None, marks=pytest.mark.campaign, id="campaign"),
    ],
    indirect=True,
)
def test_a_command_on_a_full_disk_ends_in_one_sentence_and_exit_1(tries: int | None, show: Show) -> None:
    """The campaign; the short form makes the first try of each kind. Some need the superuser."""
    results = campaign(tries)
    show("A disk that takes no more, on the command line", results)
    assert broken(results) == [] and len(results) >= 2
