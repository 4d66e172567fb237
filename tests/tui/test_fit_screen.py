"""Measuring memory from the profiles: in the background, cancelable, shown on the card."""

from threading import Event

from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.errors import Cancelled, UserError
from engine.fit.measure import Fit, Measured, OnFitProgress
from engine.fit.measured import Known
from engine.memory.predict import MemoryBudget
from engine.profiles import PROFILES
from engine.project import Project
from tests.support.fake_engine import EACH_SIZE, pretend, ready, sees, sees_no_more, shown, wait_for
from tui.app.app import MqloraApp
from tui.app.screens.profile.profile import ProfileScreen

import pytest
from textual.pilot import Pilot

BUDGET = MemoryBudget("cpu", 9_000_000_000, 16_000_000_000)
SHAPE = BatchShape.full(rows=4, length=384, targets=700)
FITS = Fit(True, BUDGET, SHAPE, Measured(4_321_000_000, 5_000_000_000, 1.5, 4_600_000_000, True))
TOO_LARGE = Fit(False, BUDGET, SHAPE, None, "MLX ran out of memory")


class FakeFit:
    """Stands in for the measurement and for what is kept of it."""

    def __init__(self) -> None:
        self.answer: Fit | Exception = FITS
        self.go_on = Event()
        """Set it to let the measurement come to its end."""
        self.asked: list[TrainingConfig] = []
        self.cancels: list[Event] = []
        self.known = Known({}, frozenset())

    def measure(
        self, _project: Project, config: TrainingConfig, on_progress: OnFitProgress, cancel: Event
    ) -> Fit:
        """Stand in for `measure_and_remember`."""
        self.asked.append(config)
        self.cancels.append(cancel)
        on_progress("Loading the base model …")
        while not self.go_on.wait(0.01):
            if cancel.is_set():
                raise Cancelled
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer.measured:
            self.known = Known({"PERFORMANCE": self.answer.measured.peak}, frozenset())
        else:
            self.known = Known({}, frozenset({"PERFORMANCE"}))
        return self.answer

    def recall(self, _project: Project, _base: TrainingConfig, _budget: int) -> Known:
        """Stand in for `recall_profiles`."""
        return self.known


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeFit:
    """Put the fake in the place of the measurement."""
    fake = FakeFit()
    monkeypatch.setattr("engine.fit.measured.measure_and_remember", fake.measure)
    monkeypatch.setattr("engine.fit.measured.recall_profiles", fake.recall)
    return fake


async def measuring(pilot: Pilot[int]) -> ProfileScreen:
    """Choose PERFORMANCE and press m; wait until the measurement says what it does."""
    app = await ready(pilot)
    await pilot.press("2")
    await wait_for(pilot, lambda: "is recommended." in shown(app))
    screen = app.screen
    assert isinstance(screen, ProfileScreen)
    screen.selected = 2
    await pilot.press("m")
    await wait_for(pilot, lambda: "Loading the base model" in shown(app))
    return screen


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_the_card_shows_what_was_measured(app: MqloraApp, fake: FakeFit, size: tuple[int, int]) -> None:
    """m tries the highlighted profile; its card then says measured, the others expected."""
    async with app.run_test(size=size) as pilot:
        await measuring(pilot)
        await sees(pilot, "Esc ends it")
        fake.go_on.set()
        await wait_for(pilot, lambda: "measured" in shown(app) and "4.3 GB" in shown(app))
        await wait_for(pilot, lambda: "is recommended." in shown(app))
        assert shown(app).count("expected ") == len(PROFILES) - 1
        await sees(pilot, "4.3 GB measured, 4.6 GB predicted")
    [config] = fake.asked
    assert PROFILES["PERFORMANCE"].items() <= config.model_dump().items()


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_what_does_not_fit_is_said_with_what_does(
    app: MqloraApp, fake: FakeFit, size: tuple[int, int]
) -> None:
    """The refusal has the reason and the nearest settings, and the card its alarm."""
    fake.answer = TOO_LARGE
    async with app.run_test(size=size) as pilot:
        await measuring(pilot)
        fake.go_on.set()
        await wait_for(pilot, lambda: "MLX ran out of memory" in shown(app))
        await sees(pilot, "--set gradient_checkpointing=on")
        await wait_for(pilot, lambda: "✗ needs more" in shown(app))


async def test_escape_ends_a_measurement(app: MqloraApp, fake: FakeFit) -> None:
    """The child is ended, which is said, and the screen is as before."""
    async with app.run_test() as pilot:
        await measuring(pilot)
        await pilot.press("escape")
        await wait_for(pilot, lambda: "is recommended." in shown(app))
        assert fake.cancels[0].is_set() and app.notice == "The measurement was ended."
        await sees_no_more(pilot, "measured")


async def test_escape_dismisses_a_refusal_where_nothing_is_measured(app: MqloraApp, fake: FakeFit) -> None:
    """The key keeps its meaning."""
    fake.answer = UserError("The model is broken", "copy it again")
    async with app.run_test() as pilot:
        await measuring(pilot)
        fake.go_on.set()
        await wait_for(pilot, lambda: "The model is broken" in shown(app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: "The model is broken" not in shown(app))


async def test_only_one_measurement_at_a_time(app: MqloraApp, fake: FakeFit) -> None:
    """Two would take each other's memory."""
    async with app.run_test() as pilot:
        await measuring(pilot)
        await pilot.press("m", "m")
        app.start_measuring(app.config)
        assert len(fake.asked) == 1


async def test_training_has_the_memory_for_itself(app: MqloraApp, fake: FakeFit) -> None:
    """A run that begins ends the measurement, and none is begun while it lasts."""
    async with app.run_test() as pilot:
        await measuring(pilot)
        pretend(app, "running")
        await wait_for(pilot, lambda: fake.cancels[0].is_set() and not app.measuring)
        await pilot.press("m")
        await wait_for(pilot, lambda: "measure when it is over" in shown(app))
        assert len(fake.asked) == 1


async def test_leaving_the_app_ends_a_measurement(app: MqloraApp, fake: FakeFit) -> None:
    """No process is left behind that takes gigabytes."""
    async with app.run_test() as pilot:
        await measuring(pilot)
    assert fake.cancels[0].is_set()
