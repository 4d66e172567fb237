"""Nothing in the place of a file stops or misleads the program, and proof that it would be seen."""

from tests.campaigns.commander import Commander, Ended
from tests.campaigns.common import broken
from tests.campaigns.places import (
    CHILDREN,
    EVERY,
    KINDS,
    Meeting,
    campaign,
    faults_of,
    with_app,
    with_commands,
)
from tests.campaigns.plugin import Show

import pytest

TITLE = "No plain file in every place"
RUN_FILES = ("lock_file", "log_file", "metrics_file", "state_file")


@pytest.mark.slow
def test_nothing_in_the_place_of_a_file_stops_or_misleads_a_command() -> None:
    """Each kind in the places that were followed or waited for."""
    results = campaign(
        with_commands([("validate",), ("monitor", "--json"), ("train",)]),
        ["named pipe", "link to /dev/zero", "link to a foreign file"],
        ["lock_file", "log_file", "state_file", "train_file", "model/tokenizer_config.json"],
    )
    assert broken(results) == []
    assert sum(row.tries for row in results) == 45


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "named",
    [
        pytest.param(RUN_FILES, marks=pytest.mark.slow, id="short"),
        pytest.param((), marks=pytest.mark.campaign, id="campaign"),
    ],
)
def test_every_command_meets_it(kind: str, named: tuple[str, ...], show: Show) -> None:
    """The campaign; the short form spoils the run's own files."""
    results = campaign(with_commands(*EVERY), [kind], named)
    show(TITLE, results)
    assert broken(results) == []


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "meet", [pytest.param(with_commands(*CHILDREN), id="children"), pytest.param(with_app, id="app")]
)
def test_what_takes_long_meets_it(kind: str, meet: Meeting, show: Show) -> None:
    """Commands that work in processes of their own, and the app."""
    results = campaign(meet, [kind])
    show(TITLE, results)
    assert broken(results) == []


@pytest.mark.slow
def test_the_campaign_sees_a_command_that_does_not_come_back() -> None:
    """It is killed, and the next one runs in a new process."""
    commander = Commander()
    assert commander.run(["profiles", "--help"]).code == 0
    assert faults_of(commander.run(["--help"], limit_s=0.0)) == ["no end within 0 s"]
    assert commander.run(["report", "--nonsense"]).code == 2
    commander.close()
    for said in ("Something unexpected happened", "Traceback (most recent"):
        assert faults_of(Ended(1, "", said, 0.1))
    assert faults_of(Ended(1, "", "", 0.1)) and faults_of(Ended(3, "x", "", 0.1))
    assert not faults_of(Ended(0, "", "", 0.1)) and not faults_of(Ended(1, "", "It is a pipe; x.", 0.1))
