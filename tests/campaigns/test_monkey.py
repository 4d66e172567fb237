"""Whatever is typed leaves everything in order, and proof that the monkey would see it if not."""

import math
import sys
from pathlib import Path
from random import Random

from engine.project import Project
from tests.campaigns.common import broken
from tests.campaigns.monkey import Monkey, campaign
from tests.campaigns.monkey_bursts import draw
from tests.campaigns.plugin import Show
from tests.support.terminal import Terminal
from tests.support.tiny import tiny_project

import pytest

_SEED = 92
_BURSTS = 12


@pytest.mark.parametrize(
    ("seed", "tries", "minutes"),
    [
        pytest.param(_SEED, _BURSTS, math.inf, marks=pytest.mark.slow, id="short"),
        pytest.param(None, None, 10.0, marks=pytest.mark.campaign, id="campaign"),
    ],
    indirect=True,
)
def test_bursts_of_keys_leave_everything_in_order(
    seed: int, tries: int | None, minutes: float, show: Show
) -> None:
    """The app answers after each, also while a run goes on and when the line was lost, and can be left."""
    results = campaign(seed, tries, minutes)
    show("A monkey at the keyboard", results)
    assert broken(results) == []


def test_the_few_bursts_have_what_matters() -> None:
    """A lost line, and the list of places with keys typed ahead of it."""
    random = Random(_SEED)
    bursts = [draw(random) for _ in range(_BURSTS)]
    assert any(burst.ends_by for burst in bursts[1:-1])
    assert any(b"\x10\r\r" in burst.typed for burst in bursts)


def test_a_seed_stands_for_its_keys() -> None:
    """What went wrong can be played again."""
    first, again = ([draw(random) for _ in range(200)] for random in (Random(3), Random(3)))
    assert first == again and len({burst.typed for burst in first}) > 150


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("raise SystemExit(3)", "ended with 3"),
        ("print('Traceback (most recent call last):')", "ended with 0"),
        ("import tty; tty.setraw(0)", "settings are not as before"),
        ("print('fine')", "is not set back"),
    ],
)
def test_a_program_that_ends_badly_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, fault: str
) -> None:
    """By its exit code, what it wrote last, and the terminal that it leaves."""
    project: Project = tiny_project(tmp_path)
    terminal = Terminal(command=(sys.executable, "-c", program))
    monkey = Monkey(project, seed=0)
    monkeypatch.setattr(monkey, "_terminal", terminal)
    terminal.wait_until(lambda: terminal.has_ended, "its end")
    with pytest.raises(AssertionError, match=fault):
        monkey.leave()
