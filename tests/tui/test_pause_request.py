"""Why a run was paused is kept with it, where that was not the user's wish."""

import os
import signal

from engine.training.pause_request import PauseRequest, reason_of
from tui.terminal.signals import pausing_signals

import pytest


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGINT, "paused on request"),
        (signal.SIGTERM, "paused, as its process was told to end (SIGTERM)"),
        (signal.SIGHUP, "paused, as its terminal was closed or the process that started it was ended"),
    ],
)
def test_a_signal_tells_why(number: signal.Signals, words: str) -> None:
    """Of several the first; Ctrl+C is a request."""
    with pausing_signals() as (stop, _received):
        os.kill(os.getpid(), number)
        assert stop.wait(30)
        stop.set_because("later")
        assert reason_of(stop) == words


def test_a_request_without_a_reason_is_the_users() -> None:
    """Also where another event asks."""
    stop = PauseRequest()
    stop.set()
    assert reason_of(stop) == "paused on request"
