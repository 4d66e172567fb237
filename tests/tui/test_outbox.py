"""What waits to be sent to the screens: no step is lost, and few messages come."""

from engine.training.events import Event, Phase, StepDone, Usage
from tests.support.fake_run import metrics
from tui.run.outbox import Outbox

import pytest


def test_outbox_keeps_every_step_in_order_but_sends_few_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand steps within a second make a handful of messages, with nothing left out."""
    clock = iter(i / 1000 for i in range(10_000))
    monkeypatch.setattr("tui.run.outbox.time.monotonic", lambda: next(clock))
    sent: list[tuple[Event, ...]] = []
    outbox = Outbox(sent.append)
    events = [StepDone(metrics(step), Usage()) for step in range(1, 1001)]
    for event in events:
        outbox.add(event)
    outbox.flush()
    assert [event for batch in sent for event in batch] == events
    assert len(sent) <= 10


def test_outbox_sends_at_once_what_may_be_the_last_for_long() -> None:
    """A new stage or a notice does not wait behind steps."""
    sent: list[tuple[Event, ...]] = []
    outbox = Outbox(sent.append)
    outbox.add(StepDone(metrics(1), Usage()))
    outbox.add(StepDone(metrics(2), Usage()))
    outbox.add(Phase("validating", 0, 9))
    assert [len(batch) for batch in sent] == [1, 2]
