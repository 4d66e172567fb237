"""A run that other versions of MLX computed so far goes on only when somebody says so."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

from engine.format import OtherVersions
from engine.project import Project
from engine.training.events import Event, Finished, Resumption
from tests.support.fake_engine import sees, sees_no_more, shown, wait_for
from tests.support.fake_run import write_run
from tests.support.training_screen import Factory, Scripted, open_train, use
from tui.app.app import MqloraApp
from tui.cli.train import train

import pytest

REFUSAL = OtherVersions("The run was computed with other versions so far: mlx 0.1 -> 0.2", "install them")


class Strict(Factory):
    """Refuses to go on, unless other versions are accepted."""

    def __call__(self, *arguments: Any) -> Any:
        super().__call__(*arguments)
        self.hows = [*getattr(self, "hows", []), arguments[-1]]
        return Scripted(Finished(60, 60, 1.0, "completed") if arguments[-1].accept_versions else REFUSAL)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_app_asks(app: MqloraApp, size: tuple[int, int]) -> None:
    """Esc leaves the run as it is, with the reason on the screen; Enter goes on."""
    write_run(app.project, "paused", 30)
    factory = use(app, Strict())
    assert isinstance(factory, Strict)
    async with app.run_test(size=size) as pilot:
        await open_train(pilot)
        await pilot.press("r")
        await sees(pilot, "Go on with other versions?")
        assert "mlx" in shown(app)
        await pilot.press("escape")
        await sees_no_more(pilot, "Go on with other versions?")
        await sees(pilot, "install them")
        await pilot.press("r")
        await sees(pilot, "Go on with other versions?")
        await pilot.press("enter")
        await wait_for(pilot, lambda: len(factory.modes) == 3)
    assert [how.accept_versions for how in factory.hows] == [False, False, True]


@pytest.fixture
def hows(monkeypatch: pytest.MonkeyPatch) -> list[Resumption]:
    """How the trainer of the command line was asked to go on."""
    asked: list[Resumption] = []

    class Trainer:
        def __init__(
            self,
            _project: Project,
            _config: Any,
            _stop: threading.Event,
            _mode: Any,
            how: Resumption,
            *_: Any,
        ) -> None:
            asked.append(how)

        def run(self) -> Iterator[Event]:
            if not asked[-1].accept_versions:
                raise REFUSAL
            yield Finished(9, 6, 1.5, "completed")

    monkeypatch.setattr("engine.training.trainer.Trainer", Trainer)
    return asked


def test_the_command_line_refuses_without_a_terminal(
    project: Project, hows: list[Resumption], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is there to be asked; the option says it beforehand."""
    assert train(project, None, "auto", as_lines=False) == 1
    assert "other versions so far" in capsys.readouterr().err and len(hows) == 1
    assert train(project, None, "auto", False, Resumption(accept_versions=True)) == 0


@pytest.mark.parametrize("answer", [True, False])
def test_the_command_line_asks_at_a_terminal(
    project: Project, hows: list[Resumption], monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    """What was asked for besides stays."""
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda _text, err: answer)
    code = train(project, None, "auto", as_lines=False, how=Resumption(halve_micro_batch=True))
    assert code == (0 if answer else 1)
    assert hows == [Resumption(True), Resumption(True, True)][: 1 + answer]
