"""The short form of the campaign, and proof that it would see what comes through."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.hostile import _LINE, _SCREEN, Outcome, attack, harmless, in_process, visit_places
from tests.campaigns.hostile_project import HostileProject, make_project

import pytest


@pytest.fixture
def hostile(tmp_path: Path) -> HostileProject:
    return make_project(tmp_path, seed=0)


@pytest.mark.slow
def test_no_command_lets_anything_through(hostile: HostileProject) -> None:
    """Every command in this process."""
    for case, survived in attack(hostile, in_process).items():
        assert all(survived), case


@pytest.mark.slow
def test_the_app_lets_nothing_through(hostile: HostileProject) -> None:
    """Every place and dialog, on a terminal, with a finished run to show."""
    assert in_process(["-C", str(hostile.project.root), "train", "--config", str(hostile.config)]).code == 0
    for case, survived in visit_places(hostile).items():
        assert all(survived), case


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

    tally = attack(make_project(tmp_path, 0), careless)
    del tally["files of the run"]
    assert not any(survived for case in tally.values() for survived in case)
