"""A project in a temporary folder, fakes for the engine's slow functions, and an app to drive."""

import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path

from engine.chat import ChatSettings
from engine.project import Project
from tests.support.fake_chat import FakeSession
from tests.support.fake_engine import FakeEngine
from tests.support.fake_run import toy_project
from tests.support.pauses import pause
from tests.support.tiny import RUN, tiny_project, train
from tui.app.app import MqloraApp
from tui.app.screens.chat.chat import ChatScreen
from tui.cli.main import main
from tui.shell import work_in

import pytest
from textual.pilot import Pilot


@pytest.fixture(autouse=True)
def _patient_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pause end when everything is handled and drawn, not when the processor has other work."""
    monkeypatch.setattr(Pilot, "pause", pause)


@pytest.fixture(autouse=True)
def no_project() -> None:
    """Let no test know the project that another one worked in."""
    work_in(Project(Path()))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with a model's sizes and a few rows."""
    return toy_project(tmp_path / "farense")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Put the fakes in the place of the engine's slow functions."""
    fake = FakeEngine()
    monkeypatch.setattr("engine.hardware.probe.iter_checks", fake.iter_checks)
    monkeypatch.setattr("engine.dataset.inspect.check.check_stages", fake.check_stages)
    monkeypatch.setattr("engine.dataset.inspect.preview.preview_row", fake.preview_row)
    monkeypatch.setattr("engine.model.demo.install_demo", fake.install_demo)
    return fake


@pytest.fixture
def app(project: Project, engine: FakeEngine) -> Generator[MqloraApp, None, None]:
    """Return an app that has not been started."""
    app = MqloraApp(project)
    yield app
    app.engine.close(timeout=10)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    """Let the chat screen talk to a fake of its own."""

    class Session(FakeSession):
        asked: list[list[dict[str, str]]] = []  # noqa: RUF012
        settings: list[ChatSettings] = []  # noqa: RUF012
        adapters: list[Path | None] = []  # noqa: RUF012

    monkeypatch.setattr(ChatScreen, "create_session", staticmethod(Session))
    return Session


@pytest.fixture(scope="session")
def trained_template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run, only ever copied."""
    project = tiny_project(tmp_path_factory.mktemp("trained") / "project")
    train(project, RUN.updated({"learning_rate": 3e-2}))
    return project


@pytest.fixture
def trained(trained_template: Project, tmp_path: Path) -> Project:
    """A finished run of this test's own."""
    return Project(Path(shutil.copytree(trained_template.root, tmp_path / "project")))


@pytest.fixture
def export(trained: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command and return its exit code; its files are read again without llama.cpp."""
    monkeypatch.setattr("engine.export.llama_cpp.is_installed", lambda: False)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(trained.root), "export", *arguments])
        return main()

    return run
