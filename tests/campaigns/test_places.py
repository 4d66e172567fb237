"""A short form of the attack on the places of a project, and proof that it would see what comes through."""

from tests.campaigns.commander import Commander, Ended
from tests.campaigns.places import KINDS, campaign, faults_of

import pytest


def test_nothing_in_the_place_of_a_file_stops_or_misleads_a_command() -> None:
    """Each kind in the places that were followed or waited for."""
    results = campaign(
        ["lock_file", "log_file", "state_file", "train_file", "model/tokenizer_config.json"],
        ["named pipe", "link to /dev/zero", "link to a foreign file"],
        [("validate",), ("monitor", "--json"), ("train",)],
    )
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []
    assert sum(row.tries for row in results) == 45


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_command_meets_it_at_the_run_s_own_files(kind: str) -> None:
    """The lock, the log, the metrics and the state."""
    results = campaign(["lock_file", "log_file", "metrics_file", "state_file"], [kind])
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []


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
