"""No stream makes a command say the unexpected, and proof that it would be seen."""

import json

from tests.campaigns.bench import table
from tests.campaigns.common import broken
from tests.campaigns.plugin import Show
from tests.campaigns.streams import COMMANDS, Command, Ended, Streams, not_told_as_json, said_badly

import pytest

TITLE = "Standard streams"


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Streams:
    return Streams(tmp_path_factory.mktemp("streams"))


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("report",), marks=pytest.mark.slow, id="short"),
        *(pytest.param(each, marks=pytest.mark.campaign, id=" ".join(each)) for each in COMMANDS),
    ],
)
def test_no_stream_makes_a_command_say_the_unexpected(streams: Streams, command: Command, show: Show) -> None:
    """The campaign; the short form has a command that prints as people read it."""
    results = table(streams.spoilt(command))
    show(TITLE, results)
    assert broken(results) == [] and sum(row.tries for row in results) == 10 - (command == ("chat",))


@pytest.mark.slow
@pytest.mark.campaign
def test_every_refusal_is_told_as_json_and_odd_arguments_are_refused(streams: Streams, show: Show) -> None:
    """Of every command, and of what is none."""
    results = table([*streams.refused(), *streams.not_utf8()])
    show(TITLE, results)
    assert broken(results) == []


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
