"""What the training screen says of a run: its stages, its end, whether it learns."""

import math
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.training.events import Event, Notice, Paused, Phase, StepDone, Usage
from tests.support.fake_engine import EACH_SIZE, HOSTILE, ready, sees, shown, wait_for
from tests.support.fake_run import LIMIT_S, append, metrics, write_run, write_state
from tests.support.tiny import owned_by
from tests.support.training_screen import Factory, Scripted, open_train, use
from tui.app.app import MqloraApp
from tui.app.screens.train.log import RunLog
from tui.app.screens.train.loss_plot import LossPlot
from tui.app.screens.train.train import TrainScreen

import pytest
from textual.pilot import Pilot


async def test_stages_before_the_first_step_are_visible(app: MqloraApp) -> None:
    """Loading and the first validation say how far they are."""
    gate = threading.Event()

    class Slow(Scripted):
        def run(self) -> Iterator[Event]:
            yield from super().run()
            gate.wait(LIMIT_S)

    use(app, Factory(Slow(Phase("loading"), Phase("validating", 3, 12))))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "validating" in shown(app) and "3 of 12" in shown(app))
        gate.set()


async def sees_twice(pilot: Pilot[int], text: str) -> None:
    await wait_for(pilot, lambda: shown(pilot.app).count(text) == 2)


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_stages_of_a_resume_are_visible(app: MqloraApp, size: tuple[int, int]) -> None:
    """As plainly as those of a fresh start, although there is a curve; nothing is judged meanwhile."""
    gates = [threading.Event() for _ in range(4)]
    phases = Phase("checking"), Phase("tokenizing"), Phase("loading"), Phase("restoring", step=30)

    class Resumed:
        def run(self) -> Iterator[Event]:
            for phase, gate in zip(phases, gates, strict=True):
                yield phase
                gate.wait(LIMIT_S)

    write_run(app.project, "paused", 30)
    use(app, Factory(Resumed()))
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        words = "checking the checkpoint", "reading and tokenizing", "loading the model", "back to step 30"
        for text, gate in zip(words, gates, strict=True):
            await sees_twice(pilot, text)  # in sentence and progress
            assert "Getting ready: " in shown(app) and "Learning" not in shown(app)
            gate.set()


@pytest.mark.parametrize("end", ["pause", "refusal"])
async def test_the_end_is_reported_when_the_run_can_go_on(
    app: MqloraApp, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Not while the trainer still closes its files: whoever reads of a pause may press Enter at once."""
    closing, gate = threading.Event(), threading.Event()
    paused = Paused(7, app.project.run_dir / "checkpoint_epoch0_step7")

    class Closing:
        def run(self) -> Iterator[Event]:
            yield Phase("loading")
            try:
                if end == "refusal":
                    raise UserError("Data are wrong", "mend them")
                yield paused
            finally:
                closing.set()
                gate.wait(LIMIT_S)

    write_run(app.project, "paused", 7)
    use(app, Factory(Closing()))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        app.training.start(TrainingConfig())
        await wait_for(pilot, closing.is_set)
        screen = app.screen
        assert isinstance(screen, TrainScreen)
        log, expected = screen.query_one(RunLog), "step7" if end == "pause" else "mend them"
        assert expected not in shown(app) and not app.screen.check_action("resume", ())
        offered: list[bool] = []

        def seeing(original: Callable[[Any], None]) -> Callable[[Any], None]:
            def seen(item: Any) -> None:
                offered.append(bool(app.screen.check_action("resume", ())))
                original(item)

            return seen

        monkeypatch.setattr(log, "add", seeing(log.add))
        monkeypatch.setattr(screen, "show_error", seeing(screen.show_error))
        gate.set()
        await wait_for(pilot, lambda: offered)
        assert offered == [True]


async def test_losses_that_are_no_numbers_are_survived(app: MqloraApp) -> None:
    """Not a finite loss in the file, infinite ones in events: the plot shows the rest."""
    app.project.run_dir.mkdir(parents=True)
    for step, loss in enumerate((3.0, math.nan, math.inf, -math.inf, 2.0), start=1):
        append(app.project, metrics(step, loss))
    write_state(app.project, "paused", 5, initial_val_loss=math.inf, best_step=None, best_val_loss=None)
    odd = StepDone(metrics(6, math.inf), Usage())
    use(app, Factory(Scripted(odd, Notice("warning", HOSTILE))))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "\\x1b[2J" in shown(app))
        await sees(pilot, "[/INST] [bold]")
        assert app.screen.query_one(LossPlot).text


async def test_a_few_steps_that_fell_by_chance_are_no_learning(app: MqloraApp) -> None:
    """The first line and the arrow beside the loss do not contradict each other."""
    for step, loss in enumerate((1.3, 3.9, 2.5, 2.4), 1):
        append(app.project, metrics(step, loss))
    write_state(app.project, "running", 4)
    with owned_by(app.project, os.getppid()):
        async with app.run_test(size=(80, 24)) as pilot:
            await ready(pilot)
            await sees(pilot, "↑", "Too early to tell: the loss has not clearly fallen yet.")


@pytest.mark.parametrize("loss", [3.62, 3.6])
async def test_a_loss_that_stays_level_is_no_learning(app: MqloraApp, loss: float) -> None:
    """Nor is one that differs in digits that are not shown, or by less than the arrow shows."""
    for step in range(1, 41):
        append(app.project, metrics(step, 3.622 if step <= 20 else loss))
    write_state(app.project, "running", 40)
    with owned_by(app.project, os.getppid()):
        async with app.run_test(size=(80, 24)) as pilot:
            await ready(pilot)
            await sees(pilot, "Too early to tell: the loss has not clearly fallen yet.")


@pytest.mark.parametrize(("phase", "text"), [("loading", "what is saved stays"), ("training", "is finished")])
async def test_a_pause_says_what_is_waited_for(app: MqloraApp, phase: Any, text: str) -> None:
    """Before the first step nothing is finished or saved."""
    gate = threading.Event()

    class Pausing:
        def run(self) -> Iterator[Event]:
            yield Phase(phase)
            write_state(app.project, "running" if phase == "training" else "paused", 7, pid=os.getpid())
            gate.wait(LIMIT_S)
            yield Paused(7, app.project.run_dir / "checkpoint_epoch0_step7")

    write_run(app.project, "paused", 7)
    use(app, Factory(Pausing()))
    async with app.run_test(size=(120, 40)) as pilot:
        await open_train(pilot)
        app.training.start(TrainingConfig())
        await wait_for(pilot, lambda: app.training.is_running)
        app.training.pause()
        await sees(pilot, text)
        gate.set()
