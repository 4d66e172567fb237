"""No hostile text steers the terminal, and proof that it would be seen."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.common import broken
from tests.campaigns.hostile import (
    _LINE,
    _SCREEN,
    FILES,
    IN_PROCESS,
    PIPE,
    TERMINAL,
    Outcome,
    Way,
    attack,
    campaign,
    harmless,
    in_process,
    visit_places,
)
from tests.campaigns.hostile_project import make_project
from tests.campaigns.plugin import Show

import pytest


@pytest.mark.parametrize(
    ("way", "tries", "seed"),
    [
        pytest.param(IN_PROCESS, 1, 0, marks=pytest.mark.slow, id="short"),
        pytest.param(PIPE, 3, 0, marks=pytest.mark.campaign, id="pipe"),
        pytest.param(TERMINAL, 3, 0, marks=pytest.mark.campaign, id="terminal"),
    ],
    indirect=["tries", "seed"],
)
def test_no_command_lets_anything_through(way: Way, tries: int, seed: int, show: Show) -> None:
    """The campaign; the short form runs every command in this process."""
    results = campaign(way, tries, seed)
    show("Hostile text", results)
    assert broken(results) == []


@pytest.mark.slow
def test_the_app_lets_nothing_through(tmp_path: Path) -> None:
    """Every place and dialog, on a terminal, with a finished run to show."""
    hostile = make_project(tmp_path, seed=0)
    assert in_process(["-C", str(hostile.project.root), "train", "--config", str(hostile.config)]).code == 0
    assert visit_places(hostile).faults == ()


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",
        "\x1b]0;x\x07",
        "\x1b]52;c;x\x07",
        "\x1b]8;;x\x1b\\",
        "\x9b",
        "\x7f",
        "\b",
        "\u202e",
        "\u200b",
    ],
)
def test_the_campaign_sees_what_comes_through(text: str) -> None:
    """Neither among a command's colours nor among the app's own sequences is it overlooked."""
    for allowed in (None, _LINE, _SCREEN):
        assert not harmless(f"\x1b[1m{text}".encode(), allowed)
    assert harmless("é 👩‍👩‍👧\t\n".encode()) and harmless(b"\x1b[1mx\x1b[0m\r\n", _LINE)
    assert not harmless(b"\xff") and not harmless(b"Traceback (most recent call last):")


def test_a_command_that_prints_its_arguments_is_found_out(tmp_path: Path) -> None:
    """A program without care survives nowhere."""

    def careless(arguments: Sequence[str]) -> Outcome:
        return Outcome(0, " ".join(arguments).encode(sys.getfilesystemencoding(), "surrogateescape"))

    made = [one for one in attack(make_project(tmp_path, 0), careless) if one.case != FILES]
    assert made and all(one.faults for one in made)
