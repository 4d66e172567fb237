"""The server of the trained model in the app: a key starts and ends it, and it does not outlive the app."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

from engine.errors import UserError
from engine.project import Project
from engine.serve.server import Answered, Event, Order, Ready, Stage
from tests.support.fake_engine import EACH_SIZE, HOSTILE, pretend, ready, sees, sees_no_more, wait_for
from tests.support.fake_run import write_run
from tui.app.app import MqloraApp

import pytest
from textual.pilot import Pilot

READY = Ready("toy+adapter", 8080, 0.0001, 1.25, shows_adapter=True, tokens=8)


class FakeServer:
    """Says what the test lets it say."""

    def __init__(self) -> None:
        self.started = 0
        self.is_running = False
        self._said: Queue[Event | UserError | None] = Queue()

    @contextmanager
    def start(self, _asked: Order) -> Iterator["FakeServer"]:
        """Stand in for `tui.app.jobs.serve.start_process`."""
        self.started += 1
        self.is_running = True
        self._said = Queue()
        yield self
        self.is_running = False

    def say(self, event: Event | UserError) -> None:
        """Let it say something, or end with a refusal."""
        self._said.put(event)

    def events(self) -> Iterator[Event]:
        """What was said."""
        while event := self._said.get():
            if isinstance(event, UserError):
                self.is_running = False
                raise event
            yield event

    def stop(self) -> None:
        """Say no more."""
        self._said.put(None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """A server without a process."""
    fake = FakeServer()

    def ordered(project: Project, port: int) -> Order:
        return Order(project.root, "toy", project.adapters_dir, port)

    def no_charts() -> tuple[()]:
        return ()

    monkeypatch.setattr("tui.app.jobs.serve.start_process", fake.start)
    monkeypatch.setattr("tui.app.jobs.serve.order", ordered)
    monkeypatch.setattr("tui.app.screens.report.report.chart_writers", no_charts)
    return fake


async def served(pilot: Pilot[int], server: FakeServer) -> MqloraApp:
    """Go to the report of a finished run and start the server."""
    app = await ready(pilot)
    await pilot.press("6")
    await sees(pilot, "Serve")
    await pilot.press("s")
    await wait_for(pilot, lambda: server.is_running)
    return app


@pytest.mark.parametrize("size", EACH_SIZE)
async def test_a_key_starts_and_ends_it(app: MqloraApp, server: FakeServer, size: tuple[int, int]) -> None:
    """The address stands below the report with what is proven, until the key is pressed again."""
    write_run(app.project, "finished")
    async with app.run_test(size=size) as pilot:
        await served(pilot, server)
        server.say(Stage("loading", "Loading the model …"))
        await sees(pilot, "Loading the model")
        server.say(READY)
        await sees(pilot, "toy+adapter: http://127.0.0.1:8080/v1", "the base model's differ by 1.25")
        server.say(Answered("POST", "/v1/completions", 200))
        await sees(pilot, "1 request")
        await pilot.press("s")
        await sees(pilot, "The server has ended")
        await sees_no_more(pilot, "http://127.0.0.1")
        assert not server.is_running


async def test_ctrl_c_ends_it(app: MqloraApp, server: FakeServer) -> None:
    """As it ends a reply in the chat."""
    write_run(app.project, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await served(pilot, server)
        await pilot.press("ctrl+c")
        await sees(pilot, "The server has ended")


async def test_it_ends_with_the_app(app: MqloraApp, server: FakeServer) -> None:
    """Whoever leaves leaves nothing behind."""
    write_run(app.project, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await served(pilot, server)
        server.say(READY)
        await sees(pilot, "http://127.0.0.1:8080/v1")
    assert app.server is not None
    job = app._serve_job
    assert job is not None and job._stopped.is_set()


async def test_training_gets_the_memory(app: MqloraApp, server: FakeServer) -> None:
    """A run that begins ends the server, and while it lasts there is none."""
    write_run(app.project, "finished")
    async with app.run_test(size=(80, 24)) as pilot:
        await served(pilot, server)
        pretend(app, "running", 3)
        await wait_for(pilot, lambda: not server.is_running and app.server is None)
        await pilot.press("s")
        await sees(pilot, "Training is running and takes the memory")
        assert server.started == 1
        pretend(app, "finished", 3)
        await sees_no_more(pilot, "Training is running and takes the memory")


async def test_a_refusal_is_shown_and_it_can_be_tried_again(app: MqloraApp, server: FakeServer) -> None:
    """In the place where the key was pressed, harmless."""
    write_run(app.project, "finished")
    async with app.run_test(size=(120, 40)) as pilot:
        await served(pilot, server)
        server.say(UserError(f"It broke {HOSTILE}", "mend it"))
        await sees(pilot, "[/INST] [bold]", "mend it")
        await pilot.press("s")
        await wait_for(pilot, lambda: server.started == 2 and server.is_running)
        await sees(pilot, "Starting the server")


async def test_without_a_run_there_is_nothing_to_serve(app: MqloraApp, server: FakeServer) -> None:
    """The key is not offered."""
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("6")
        await sees(pilot, "No run yet")
        await pilot.press("s")
        await sees_no_more(pilot, "Serve")
        assert server.started == 0
