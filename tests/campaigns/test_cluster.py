"""Whatever becomes of one of several processes, the run ends soon, says whose fault it was, and goes on."""

from tests.campaigns.cluster import campaign
from tests.campaigns.common import broken
from tests.campaigns.plugin import Show

import pytest


@pytest.mark.parametrize(
    ("tries", "seed"),
    [
        pytest.param(1, 2, marks=pytest.mark.slow, id="short"),
        pytest.param(20, 0, marks=pytest.mark.campaign, id="campaign"),
    ],
    indirect=True,
)
@pytest.mark.parametrize("ranks", [2, 3])
def test_a_fault_in_one_process_ends_the_run_and_loses_nothing(
    tries: int, seed: int, ranks: int, show: Show
) -> None:
    """The campaign."""
    results = campaign(tries, seed, ranks)
    show(f"Faults of a run of {ranks} processes", results)
    assert broken(results) == []
