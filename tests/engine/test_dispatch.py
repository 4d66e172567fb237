"""The order and the times in which steps are handed over, on a device that is made up."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from engine.backend import mx
from engine.training import dispatch, step_rows
from engine.training.dispatch import Dispatcher, MadeStep, can_run_ahead
from engine.training.loss import make_loss
from engine.training.progress import Progress
from engine.training.step import StepFunction, StepResult
from engine.training.update import make_optimizer
from tests.support.steps import some_examples, split
from tests.support.tiny import RUN, lora_model

import pytest

STEP_S = 0.5
"""How long the device takes for a step."""


@dataclass
class Device:
    """Holds up who hands it a step until that is nearly done, as MLX does; each thread has its own clock."""

    clock: threading.local = field(default_factory=threading.local)
    order: list[int] = field(default_factory=list)
    """Steps in the order in which they were handed over, and waited for as a negative number."""
    launched: int = 0
    free_at: float = 0.0
    changed: threading.Condition = field(default_factory=threading.Condition)
    loop: threading.Thread = field(default_factory=threading.current_thread)

    def now(self) -> float:
        return getattr(self.clock, "now", 0.0)

    def launch(self, batches: list[object], rate: float, whole: list[object]) -> "Pending":
        self.free_at = max(self.now(), self.free_at) + STEP_S
        self.clock.now = self.free_at - 0.01
        self.launched += 1
        self.note(self.launched)
        return Pending(self, self.launched, self.free_at)

    def note(self, step: int) -> None:
        with self.changed:
            self.order.append(step)
            self.changed.notify_all()


@dataclass
class Pending:
    """A step that is done at `end`."""

    device: Device
    number: int
    end: float

    def result(self) -> StepResult:
        device = self.device
        if threading.current_thread() is not device.loop:  # the loop hands over the next one meanwhile
            with device.changed:
                assert device.changed.wait_for(lambda: device.launched > self.number, timeout=10)
        device.clock.now = max(device.now(), self.end)
        device.note(-self.number)
        return StepResult(float(self.number), 1.0, True, 100)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    """A GPU, as far as the dispatcher knows."""
    made = Device()
    monkeypatch.setattr(dispatch, "can_run_ahead", lambda: True)
    monkeypatch.setattr(step_rows, "micro_batches", lambda chosen, shapes, prompt_weight: chosen)
    monkeypatch.setattr(dispatch, "time", SimpleNamespace(monotonic=made.now))
    return made


def dispatcher(device: Device) -> tuple[Dispatcher, Progress]:
    """A run of two epochs of twenty steps."""
    examples, progress = some_examples(80), Progress()
    parts: Any = SimpleNamespace(
        assembled=SimpleNamespace(step=device),
        train=examples,
        steps_per_epoch=20,
        total_steps=40,
        config=RUN,
        shapes=(),
        team=None,
        speeds=(1.0,),
    )
    return Dispatcher(parts, progress), progress


def make(device: Device, followed: list[bool]) -> list[MadeStep]:
    """Make one step for each of `followed`."""
    steps, progress = dispatcher(device)
    made = []
    for is_followed in followed:
        made.append(steps.make_step(is_followed))
        progress.step += 1
        assert steps.is_ahead == (device.launched > progress.step)
    return made


def test_one_step_is_handed_over_early_where_one_follows(device: Device) -> None:
    """Never two, and not after the first, of which nobody knew how long it takes."""
    made = make(device, [True, True, True, False, True, False, False])
    assert device.order == [1, -1, 2, 3, -2, 4, -3, -4, 5, 6, -5, -6, 7, -7]
    assert [step.result.loss for step in made] == [1, 2, 3, 4, 5, 6, 7]


def test_a_step_takes_from_the_end_of_the_one_before(device: Device) -> None:
    """However long handing it over held the loop up: none looks fast or slow, all together fill the time."""
    made = make(device, [True, True, True, True, False, True])
    assert [step.seconds for step in made] == pytest.approx([STEP_S] * 6)
    assert [step.ended for step in made] == pytest.approx([STEP_S * n for n in range(1, 7)])


def test_a_break_between_two_steps_belongs_to_neither(device: Device) -> None:
    """A validation, say."""
    steps, progress = dispatcher(device)
    steps.make_step(False)
    device.clock.now += 100.0
    progress.step = 1
    assert steps.make_step(False).seconds == pytest.approx(STEP_S)


def test_long_steps_are_not_handed_over_early(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a pause would wait for two of them."""
    monkeypatch.setattr(dispatch, "SHORT_STEP_S", STEP_S)
    make(device, [True] * 3)
    assert device.order == [1, -1, 2, -2, 3, -3]


def lines_of(step: MadeStep) -> list[int]:
    """Return the lines of a step's examples, which are its batches here."""
    examples: list[Any] = list(step.batches)
    return [example.line for example in examples]


def test_each_step_has_its_own_rate_and_examples(device: Device) -> None:
    """Those of a run that never runs ahead, over the end of an epoch."""
    ahead = make(device, [number % 20 != 0 for number in range(1, 41)])
    plain = make(Device(), [False] * 40)
    for one, other in zip(ahead, plain, strict=True):
        assert one.learning_rate == other.learning_rate
        assert lines_of(one) == lines_of(other)
    assert len({step.learning_rate for step in ahead}) == 40


@pytest.mark.parametrize("failing", ["the step", "the one after it"])
def test_a_failure_arrives_where_the_step_was_asked_for(
    device: Device, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whichever thread met it; the loop explains it."""
    steps, progress = dispatcher(device)
    steps.make_step(False)
    progress.step = 1
    launch = Device.launch

    def fail(*arguments: object) -> None:
        raise MemoryError(failing)

    def launch_and_fail(device: Device, batches: list[object], rate: float, whole: list[object]) -> Pending:
        pending = launch(device, batches, rate, whole)
        if device.launched == 3:
            fail()
        return pending

    if failing == "the step":
        monkeypatch.setattr(Pending, "result", fail)
    else:
        monkeypatch.setattr(Device, "launch", launch_and_fail)
    with pytest.raises(MemoryError, match=failing):
        steps.make_step(True)
    assert device.launched == 3


@pytest.mark.parametrize("on_cpu", [True, False])
def test_a_cpu_never_runs_ahead(monkeypatch: pytest.MonkeyPatch, on_cpu: bool) -> None:
    """Building the next step would take its cores from this one."""
    monkeypatch.setattr(dispatch, "is_cpu", lambda: on_cpu)
    assert can_run_ahead() != on_cpu


def test_a_pending_step_keeps_two_numbers() -> None:
    """Once the next one is handed over, nothing of it is left on the device but loss and norm."""
    model = lora_model()
    step = StepFunction(model, make_optimizer(RUN), make_loss(model), 1.0)
    batches = split(some_examples(3), 32, 1)
    pending = step.launch(batches, 1e-3)
    step.launch(batches, 1e-3).result()
    kept = mx.get_active_memory()
    assert pending.result().applied
    del pending
    assert 0 < kept - mx.get_active_memory() <= 64
