"""Leaving a run that cannot be saved: never without a word, never with the code of success."""

import resource
import signal
import sys

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.lock import lock_owner
from tests.support.app_on_pty import app_while_training
from tests.support.terminal import Terminal
from tests.support.tiny import RUN, train

import pytest

_MOST_BYTES = 200_000
"""Of a file from now on: more than the metrics have, less than an optimizer's arrays."""

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="there is no prlimit")


def that_cannot_save(project: Project) -> Terminal:
    """Train in the app; from now on no large file can be written."""
    large = TrainingConfig.load(project.config_file).updated({"lora_rank": 64})
    large.save(project.config_file)
    terminal = app_while_training(project)
    owner = lock_owner(project)
    assert owner is not None
    resource.prlimit(owner.pid, resource.RLIMIT_FSIZE, (_MOST_BYTES, _MOST_BYTES))
    return terminal


def test_the_app_stays_and_says_it(project: Project) -> None:
    """Who read it can leave then."""
    terminal = that_cannot_save(project)
    terminal.press("q")
    terminal.wait_for("Leave while training?")
    terminal.press("\r")
    terminal.wait_for("Cannot write to")
    assert not terminal.has_ended
    terminal.press("q")
    assert terminal.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_ends_it_with_1(project: Project, number: signal.Signals) -> None:
    """Where staying is impossible the sentence stands on the terminal, and the code is not the signal's."""
    terminal = that_cannot_save(project)
    terminal.signal(number)
    assert terminal.wait() == 1
    assert b"Cannot write to" in terminal.output


def test_a_lost_line_is_no_failure_of_a_start_that_is_refused(project: Project) -> None:
    """A run that is over cannot go on; where the terminal goes meanwhile, nothing was lost."""
    train(project, RUN.updated({"max_steps": 1, "num_epochs": 1}))
    terminal = Terminal("-C", str(project.root), "--go-on")
    terminal.wait_for(f"/{project.root.name} ·")  # its trainer is on its way to the refusal
    terminal.hang_up()
    assert terminal.wait() == 128 + signal.SIGHUP
