"""Loss and gradients that are not finite, at any step of a run."""

from tests.campaigns.common import broken
from tests.campaigns.numbers import campaign
from tests.campaigns.plugin import Show

import pytest


@pytest.mark.parametrize(
    ("tries", "seed"),
    [
        pytest.param(1, 0, marks=pytest.mark.slow, id="short"),
        pytest.param(None, 0, marks=pytest.mark.campaign, id="campaign"),
    ],
    indirect=True,
)
def test_bad_numbers_are_told_and_never_saved(tries: int | None, seed: int, show: Show) -> None:
    """The campaign: streaks with pauses and sudden ends inside; the short form draws one of them."""
    results = campaign(tries, seed)
    show("Numbers that are not finite", results)
    assert broken(results) == []
