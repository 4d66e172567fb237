"""A run outlives the connection that it was started over."""

from functools import partial

from tests.campaigns.common import broken
from tests.campaigns.plugin import Show
from tests.campaigns.signal_cases import PROGRAMS
from tests.campaigns.signals import tried
from tests.campaigns.ssh import CLIENT, SESSION, NoServer, attempt

import pytest


@pytest.mark.campaign
@pytest.mark.parametrize("tries", [pytest.param(3, id="campaign")], indirect=True)
@pytest.mark.parametrize("cut", [pytest.param(CLIENT, id="client"), pytest.param(SESSION, id="session")])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_run_whose_connection_is_cut_goes_on_in_the_background(
    program: str, cut: str, tries: int, show: Show
) -> None:
    """The campaign, where an SSH server can be started."""
    try:
        results = [tried(f"{program}: {cut}", tries, partial(attempt, program, cut))]
    except NoServer as reason:
        pytest.skip(str(reason))
    show("Connections cut over SSH", results)
    assert broken(results) == []
