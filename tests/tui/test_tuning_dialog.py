"""The dialog that tunes: what it says before, how far it is, what it found, how it is paused and goes on."""

from collections.abc import Callable, Generator
from queue import Queue
from threading import Event

from engine.analysis.noise import Difference
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from engine.training.events import Evaluated, Started, StepDone
from engine.tuning.result import Tried, TuningResult
from engine.tuning.state import save_tuning
from tests.support.fake_engine import (
    EACH_SIZE,
    SIZES,
    pretend,
    ready,
    sees,
    sees_no_more,
    wait_for,
)
from tests.support.fake_run import USAGE, metrics
from tui.app.app import MqloraApp
from tui.app.jobs.tune import OnEvent, OnRun, TuningPlan
from tui.app.screens.tuning.tuning import TuningDialog

import pytest
from textual.pilot import Pilot

End = TuningResult | UserError | Exception


class FakeTuner:
    """Does what the test lets it do, on the engine's thread; pauses between two steps when asked to."""

    def __init__(self) -> None:
        self.begun: list[TuningPlan] = []
        self.paused = 0
        self.steps: Queue[Callable[[], End | None]] = Queue()
        self.on_run: OnRun
        self.on_event: OnEvent

    def create(
        self, _project: Project, plan: TuningPlan, stop: Event, on_run: OnRun, on_event: OnEvent
    ) -> "FakeTuner":
        """Stand in for `tui.app.jobs.tune.create_tuner`."""
        self.begun.append(plan)
        self._stop, self.on_run, self.on_event = stop, on_run, on_event
        return self

    def run(self) -> TuningResult | None:
        """Take step after step, until one of them is the end."""
        while True:
            end = self.steps.get()()
            if self._stop.is_set():
                self.paused += 1
                return None
            if isinstance(end, Exception):
                raise end
            if end:
                return end

    def trains(self, place: int, share: float) -> None:
        """Let it train a candidate, and tell of a step and a validation."""
        started = Started(0, 60, 20, 3, 40, 6, 1000, "toy", "cpu", 1)
        self.steps.put(lambda: self.on_run(place, share))
        for event in (started, StepDone(metrics(20), USAGE), Evaluated(20, 1, 1.25, True, 0.1)):
            self.steps.put(lambda event=event: self.on_event(event))  # type: ignore[misc]

    def comes_to(self, end: End) -> None:
        """Let it end."""
        self.steps.put(lambda: end)


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch) -> Generator[FakeTuner, None, None]:
    """A tuner without MLX; what it still waits for at the end is over."""
    fake = FakeTuner()
    monkeypatch.setattr("tui.app.jobs.tune.create_tuner", fake.create)
    yield fake
    fake.comes_to(UserError("over"))


async def opened(pilot: Pilot[int]) -> MqloraApp:
    """Go to Profile and open the dialog for the selected card; wait until it can begin."""
    app = await ready(pilot)
    await pilot.press("2")
    await sees(pilot, "BALANCED")
    await pilot.press("t")
    await wait_for(pilot, lambda: isinstance(app.screen, TuningDialog))
    await sees(pilot, "chosen now", "All make a third of their steps")
    return app


def found(plan: TuningPlan, best: int = 2, outcome: str = "better") -> TuningResult:
    """Return a result in which a candidate is best."""
    tried = tuple(
        Tried(
            candidate.label(plan.chosen), candidate.values, run.folder, 60, 60, True, 1.5 - 0.1 * place, 9.0
        )
        for place, (candidate, run) in enumerate(zip(plan.tuning.candidates, plan.tuning.runs, strict=True))
    )
    gain = Difference(0.2, 0.01, 0.02)
    return TuningResult(tried, best, outcome, gain if best else None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_runs_are_trained_and_the_best_settings_chosen(
    app: MqloraApp, tuner: FakeTuner, size: tuple[int, int]
) -> None:
    """The candidates and their price, how far it is, what was found; Enter chooses it."""
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await sees(pilot, "learning_rate", "Enter trains them")
        await pilot.press("enter")
        await wait_for(pilot, lambda: tuner.begun)
        (plan,) = tuner.begun
        tuner.trains(1, 1 / 3)
        label = plan.tuning.candidates[1].label(plan.chosen)
        count = len(plan.tuning.runs)
        await sees(pilot, f"2 of {count}: {label}, to a third of its steps · step 20/60 · loss", "Esc pauses")
        await sees(pilot, "validation 1.25")
        await sees_no_more(pilot, "Enter trains them")
        tuner.comes_to(found(plan))
        await sees(pilot, "beats the chosen settings by 0.20 ± 0.02", "1.30", "Enter chooses")
        await pilot.press("enter")
        best = plan.tuning.candidates[2].config(plan.chosen)
        await wait_for(pilot, lambda: app.config == best)
    assert TrainingConfig.load(app.project.config_file) == best
    assert best.learning_rate != plan.chosen.learning_rate


async def test_what_is_no_better_cannot_be_chosen(app: MqloraApp, tuner: FakeTuner) -> None:
    """Then Enter closes, and the settings stay."""
    async with app.run_test(size=SIZES[0]) as pilot:
        before = (await opened(pilot)).config
        await pilot.press("enter")
        await wait_for(pilot, lambda: tuner.begun)
        tuner.comes_to(found(tuner.begun[0], best=1, outcome="chance"))
        await sees(pilot, "that may be chance", "Esc closes")
        await sees_no_more(pilot, "Choose the best")
        await pilot.press("enter")
        await wait_for(pilot, lambda: not isinstance(app.screen, TuningDialog))
    assert app.config == before and not app.project.config_file.exists()


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_key_pauses_and_enter_goes_on(app: MqloraApp, tuner: FakeTuner, key: str) -> None:
    """A refusal is told, and a defect too; Esc without work closes."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        tuner.trains(0, 1 / 3)
        await sees(pilot, "validation 1.25")
        await pilot.press(key)
        await sees(pilot, "Ending …")
        tuner.trains(0, 1 / 3)
        await sees(pilot, "Paused; it goes on from here, also after the app was left.", "Enter goes on")
        assert tuner.paused == 1
        while not tuner.steps.empty():
            tuner.steps.get()
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(tuner.begun) == 2)
        tuner.comes_to(UserError("Memory is short", "close something"))
        await sees(pilot, "✗ Memory is short; close something.")
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(tuner.begun) == 3)
        tuner.comes_to(RuntimeError("a defect"))
        await sees(pilot, "a defect")
        await pilot.press("escape")
        await wait_for(pilot, lambda: not isinstance(app.screen, TuningDialog))


async def test_leaving_the_app_pauses_it(app: MqloraApp, tuner: FakeTuner) -> None:
    """After a question; the app waits for the checkpoint."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: tuner.begun)
        await pilot.press("ctrl+q", "ctrl+q")
        await sees(pilot, "The tuning pauses; t on Profile goes on with it.")
        assert not app.engine.leavable.is_set()
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.return_code == 0)
    tuner.trains(0, 1.0)
    assert app.engine.idle.wait(20)
    assert tuner.paused == 1


async def test_nothing_is_tuned_while_something_computes(app: MqloraApp, tuner: FakeTuner) -> None:
    """What it would take can be looked at; Enter says why not."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        pretend(app, "running", 3)
        await pilot.press("enter")
        await sees(pilot, "✗ Training is running; do this when the run is paused or over.")
    assert not tuner.begun


async def test_what_has_begun_goes_on_and_what_is_of_other_settings_is_replaced(
    app: MqloraApp, tuner: FakeTuner
) -> None:
    """Both are said before anything is trained."""
    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        await sees_no_more(pilot, "not trained again", "takes the place")
        await pilot.press("enter")
        await wait_for(pilot, lambda: tuner.begun)
        plan = tuner.begun[0]
        tuner.comes_to(UserError("over"))
        await sees(pilot, "✗ over")
        await pilot.press("escape")
        app.project.make_run_dir()
        save_tuning(app.project, plan.tuning)
        await pilot.press("t")
        await sees(pilot, "is not trained again.")
        await pilot.press("escape", "left", "t")
        await sees(pilot, "of one of other settings")
        app.project.tuning_file.write_text("{")
        await pilot.press("escape", "t")
        await sees(pilot, "All make a third")
        await sees_no_more(pilot, "takes the place")


async def test_without_validation_rows_there_is_nothing_to_compare(app: MqloraApp, tuner: FakeTuner) -> None:
    """Which is said in one sentence; Enter begins nothing."""
    app.project.valid_file.unlink()
    async with app.run_test(size=SIZES[0]) as pilot:
        app = await ready(pilot)
        await pilot.press("2", "t")
        await sees(pilot, "✗ Settings are compared on validation rows", "Esc closes")
        await pilot.press("enter")
        await wait_for(pilot, lambda: not isinstance(app.screen, TuningDialog))
    assert not tuner.begun


async def test_what_is_found_out_too_late_changes_nothing(
    app: MqloraApp, tuner: FakeTuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data are read anew while runs are trained already."""
    asked, may_answer = Event(), Event()

    def slow(*_arguments: object) -> TuningPlan:
        asked.set()
        may_answer.wait(20)
        raise UserError("The data have gone", "bring them back")

    async with app.run_test(size=SIZES[0]) as pilot:
        await opened(pilot)
        monkeypatch.setattr("tui.app.jobs.tune.plan", slow)
        app.mutate_reactive(MqloraApp.hardware)
        await wait_for(pilot, asked.is_set)
        await pilot.press("enter")
        tuner.trains(0, 1 / 3)
        await sees(pilot, "validation 1.25")
        may_answer.set()
        await wait_for(pilot, lambda: not any(worker.is_running for worker in app.screen.workers))
        await sees(pilot, "validation 1.25", "Esc pauses")
        await sees_no_more(pilot, "The data have gone")
        tuner.comes_to(found(tuner.begun[0]))
        await sees(pilot, "Enter chooses")
