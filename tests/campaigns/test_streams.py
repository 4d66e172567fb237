"""A short form of the attack on the standard streams, and proof that it would see what comes through."""

import json

from tests.campaigns.streams import Ended, campaign, not_told_as_json, said_badly

import pytest


def test_no_stream_makes_a_command_say_the_unexpected() -> None:
    """A command that prints as people read it."""
    results = campaign([("report",)], arguments=False)
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []
    assert sum(row.tries for row in results) == 10


@pytest.mark.slow
def test_every_refusal_is_told_as_json_and_odd_arguments_are_refused() -> None:
    """Of every command, and of what is none."""
    results = campaign([])
    assert [f"{row.case}: {row.remark}" for row in results if row.survived < row.tries] == []


def test_the_campaign_sees_what_is_said_badly() -> None:
    """A traceback, an end that never came, and refusals that are no objects."""
    for said in ("Something unexpected happened", "Traceback (most", "Exception ignored in: <stdout>"):
        assert said_badly(Ended(1, "", said))
    assert said_badly(Ended(None, "", "")) and not said_badly(Ended(1, "", "No run; start one."))
    good = json.dumps({"error": {"problem": "No run", "fix": "start one"}})
    assert not not_told_as_json(Ended(1, good, ""), 1)
    for out in ("", "[]", "{}", '{"error": "x"}', '{"error": {"problem": "", "fix": ""}}'):
        assert not_told_as_json(Ended(1, out, ""), 1)
    assert not_told_as_json(Ended(0, good, ""), 1)
