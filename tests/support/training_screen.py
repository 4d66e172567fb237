"""The Train place with an engine of the test's own."""

import threading
from collections.abc import Iterator

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.events import Event, Mode, Resumption
from tests.support.fake_engine import ready, wait_for
from tests.support.fake_run import FakeTrainer
from tui.app.app import MqloraApp
from tui.app.screens.train.loss_legend import LossLegend
from tui.app.screens.train.train import TrainScreen
from tui.run.controller import Running, TrainingController

from textual.pilot import Pilot


class Factory:
    """Makes fake trainers and remembers how they were asked for."""

    def __init__(self, trainer: Running | None = None) -> None:
        self.gate = threading.Event()
        self.modes: list[Mode] = []
        self.halved: list[bool] = []
        self.configs: list[TrainingConfig | None] = []
        self.threads: list[str] = []
        self._trainer = trainer

    def __call__(
        self,
        project: Project,
        config: TrainingConfig | None,
        stop: threading.Event,
        mode: Mode,
        how: Resumption,
    ) -> Running:
        self.modes.append(mode)
        self.configs.append(config)
        self.halved.append(how.halve_micro_batch)
        self.threads.append(threading.current_thread().name)
        return self._trainer or FakeTrainer(project, stop, 20, self.gate)


class Scripted:
    """A trainer whose events the test names, then raises if that is an exception."""

    def __init__(self, *events: Event | Exception) -> None:
        self._events = events

    def run(self) -> Iterator[Event]:
        """Yield the events."""
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event


def use(app: MqloraApp, factory: Factory) -> Factory:
    """Let `app` train with fakes."""
    app.training = TrainingController(app.project, app.engine, factory)
    return factory


async def open_train(pilot: Pilot[int]) -> MqloraApp:
    """Go to the training screen and wait for its first look at the files."""
    app = await ready(pilot)
    await pilot.press("4")
    await wait_for(pilot, lambda: any(legend.content for legend in app.screen.query(LossLegend)))
    assert isinstance(app.screen, TrainScreen)
    await pilot.pause()
    return app
