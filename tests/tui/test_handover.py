"""A lost connection: the paused run goes on in the background, and the next start says so once."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

from engine.project import Project
from engine.training.state import RunState, Status
from tests.support.fake_engine import FakeEngine, sees, shown
from tests.support.tiny import owned_by
from tui.app.app import MqloraApp
from tui.run.handover import Handover, hand_over, has_notice, is_starting, take_notice
from tui.run.standing import standing

import pytest

NOBODY = 2**22 + 1
"""A pid that no process has."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """What was started in the background, and the first line of its log."""
    calls: list[tuple[list[str], str]] = []

    def spawn(_project: Project, arguments: Sequence[str], first_line: str) -> tuple[SimpleNamespace, int]:
        calls.append((list(arguments), first_line))
        return SimpleNamespace(pid=NOBODY), 0

    monkeypatch.setattr("tui.run.handover.spawn", spawn)
    return calls


def paused_at(project: Project, step: int) -> None:
    """Write the state of a run that is paused."""
    project.run_dir.mkdir(exist_ok=True)
    RunState("paused", "toy", step=step, total_steps=60).save(project.state_file)


def test_a_paused_run_goes_on_in_the_background(
    project: Project, started: list[tuple[list[str], str]]
) -> None:
    """It resumes, and its log begins with the reason."""
    paused_at(project, 41)
    hand_over(project, ["--ranks", "2"])
    [(arguments, first_line)] = started
    assert arguments == ["--resume", "--ranks", "2"]
    assert "lost at step 41" in first_line


@pytest.mark.parametrize("status", ["finished", "failed", "running"])
def test_what_is_not_paused_is_not_handed_over(
    project: Project, started: list[tuple[list[str], str]], status: Status
) -> None:
    """A run that came to its end, or could not be saved, has nothing to go on with."""
    project.run_dir.mkdir()
    RunState(status, "toy", step=41).save(project.state_file)
    hand_over(project)
    assert started == [] and not has_notice(project)


def test_the_notice_is_given_once(project: Project, started: list[tuple[list[str], str]]) -> None:
    """Whoever starts next learns when the connection was lost, and what the run does now."""
    paused_at(project, 41)
    hand_over(project)
    assert has_notice(project)
    with owned_by(project, 1):
        notice = take_notice(project)
    assert "at step 41" in notice and "goes on in the background" in notice
    assert not has_notice(project) and take_notice(project) == ""


def test_a_run_whose_app_was_left_goes_on(project: Project, started: list[tuple[list[str], str]]) -> None:
    """The log and the next start say that it was meant."""
    paused_at(project, 41)
    hand_over(project, why="left")
    assert "The app was left at step 41" in started[0][1]
    assert take_notice(project).startswith("The app was left on")


@pytest.fixture
def loading(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A run that was handed over to a process that still gets ready."""
    command = [sys.executable, "-c", "input()", "-C", str(project.root), "train"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        monkeypatch.setattr("tui.run.handover.spawn", lambda *_arguments: (process, 0))
        paused_at(project, 41)
        hand_over(project)
        yield project
        process.kill()


def test_a_run_that_is_only_starting_is_not_said_to_have_failed(loading: Project) -> None:
    """Loading takes a while: the notice stays until it is known what came of it."""
    assert "is starting in the background" in take_notice(loading)
    assert has_notice(loading)
    assert standing(loading).startswith("The run is starting in the background")
    paused_at(loading, 42)
    assert "to step 42" in take_notice(loading)
    assert not has_notice(loading)


async def test_a_run_that_is_only_starting_is_not_shown_as_paused(
    loading: Project, engine: FakeEngine
) -> None:
    """Nor can it be started a second time, or paused before it is there."""
    app = MqloraApp(loading)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "starting in the background", "It is shown here once it goes on.")
        assert "Enter" not in shown(app).splitlines()[-1] and "Paused at" not in shown(app)
        await pilot.press("ctrl+c")
        await sees(pilot, "it can be paused as soon as it is shown running")
    app.engine.close()


def test_another_process_with_the_number_is_not_waited_for(loading: Project) -> None:
    """Numbers of processes are given out again."""
    Handover("2026-01-01T00:00:00+00:00", 41, os.getpid()).save(loading)
    assert not is_starting(loading)
    assert "did not go on" in take_notice(loading) and not has_notice(loading)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"time": "x", "step": 1}', '{"time": 1, "step": "a"}'])
def test_a_handover_that_is_not_ours_gives_none(project: Project, content: str) -> None:
    """Whoever wrote them."""
    paused_at(project, 41)
    (project.run_dir / "handover.json").write_text(content)
    assert take_notice(project) == "" and not is_starting(project)


@pytest.mark.parametrize(("step", "fate"), [(60, "to step 60"), (41, "did not go on")])
def test_the_notice_says_how_far_it_came(
    project: Project, started: list[tuple[list[str], str]], step: int, fate: str
) -> None:
    """A run that ended meanwhile made it to some step, or did not even start."""
    paused_at(project, 41)
    hand_over(project)
    paused_at(project, step)
    assert fate in take_notice(project)


def test_a_background_that_cannot_be_started_leaves_the_run_saved(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No exception: nobody is there to see it; the next start tells."""

    def refuse(*_arguments: object) -> None:
        raise OSError("no processes left")

    monkeypatch.setattr("tui.run.handover.spawn", refuse)
    paused_at(project, 41)
    hand_over(project)
    assert "did not go on" in take_notice(project)


def test_a_handover_that_cannot_be_read_gives_none(project: Project) -> None:
    """A file of something else is not told of."""
    project.run_dir.mkdir()
    (project.run_dir / "handover.json").write_text('{"time": "yesterday", "step": 3}')
    assert take_notice(project) == ""
