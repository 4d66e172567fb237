"""What a session spends on padding, shapes and validation, and who is told of it."""

import json
from dataclasses import replace

from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, filled
from engine.project import Project
from engine.training.events import Event, Started, StepDone, Usage, as_json
from engine.training.metrics import UsageMeter
from engine.training.state import RunState
from tests.support.step_metrics import metrics

import pytest


def batch(rows: int, length: int, real: int) -> MicroBatch:
    """A micro-batch of this shape with `real` tokens that are not padding."""
    shape = BatchShape(rows, length, targets=4, tokens=rows * length)
    return replace(filled(shape), padding=shape.tokens - real)


def test_figures_add_up_over_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding over all steps' tokens, different shapes of steps and validation, time against time."""
    clock = [100.0]
    monkeypatch.setattr("engine.training.metrics.time.monotonic", lambda: clock[0])
    meter = UsageMeter()
    assert meter.read() == Usage(None, 0, None)
    meter.validation([batch(2, 8, 16), batch(1, 8, 8)])
    for _each in range(2):
        clock[0] += 1.0
        meter.scored()
    assert meter.read() == Usage(None, 2, 1.0)
    clock[0] += 1.0
    meter.step([batch(2, 8, 12), batch(2, 8, 16)])
    clock[0] += 1.0
    assert meter.read() == Usage(round(4 / 32, 4), 2, 0.5)
    meter.step([batch(4, 8, 32)])
    clock[0] += 4.0
    assert meter.read() == Usage(round(4 / 64, 4), 3, 0.25)


def test_a_step_tells_of_it_without_nesting() -> None:
    """One flat JSON object."""
    values = as_json(StepDone(metrics(7), Usage(0.25, 3, 0.125)))
    assert values == {
        "event": "step_done", **vars(metrics(7)), "padding": 0.25, "shapes": 3, "evaluation": 0.125
    }  # fmt: skip
    json.dumps(values)


def test_a_run_tells_and_writes_what_it_spends(finished: tuple[Project, list[Event]]) -> None:
    """The events' last figures are the file's; no more shapes than were planned."""
    project, events = finished
    usages = [event.usage for event in events if isinstance(event, StepDone)]
    (started,) = [event for event in events if isinstance(event, Started)]
    state = RunState.load(project.state_file)
    assert state is not None
    last = usages[-1]
    assert (state.usage.padding, state.usage.shapes) == (last.padding, last.shapes)
    assert 1 <= last.shapes <= started.shapes <= 16
    assert [usage.shapes for usage in usages] == sorted(usage.shapes for usage in usages)
    assert last.padding is not None and 0 <= last.padding < 0.5
    assert state.usage.evaluation is not None and 0 < state.usage.evaluation < 1
