"""Training without the app: what it prints, what a signal or a defect makes of it."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.project import Project
from engine.training.events import Event, Finished, Notice, Paused, Phase
from tests.support.fake_engine import HOSTILE
from tui.cli.train import train

import pytest

PAUSED = Paused(3, Path("checkpoint_epoch0_step3"))


@pytest.fixture
def on_progress(monkeypatch: pytest.MonkeyPatch) -> list[Event | Exception | signal.Signals]:
    """What the trainer does: yields events, raises exceptions, sends signals and waits for the stop."""
    script: list[Event | Exception | signal.Signals] = []

    class Scripted:
        def __init__(self, _project: Project, _config: Any, stop: threading.Event, *rest: Any) -> None:
            self._stop, self._beginning = stop, rest[-1]

        def run(self) -> Iterator[Event]:
            self._beginning.begin()
            for item in script:
                if isinstance(item, signal.Signals):
                    os.kill(os.getpid(), item)
                    assert self._stop.wait(10)
                elif isinstance(item, Exception):
                    raise item
                else:
                    yield item

    monkeypatch.setattr("engine.training.trainer.Trainer", Scripted)
    return script


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[Project]:
    """The projects whose runs went on in the background."""
    projects: list[Project] = []
    monkeypatch.setattr("tui.cli.train.hand_over", lambda project, _options: projects.append(project))
    return projects


def test_a_run_to_the_end_is_0(
    project: Project, on_progress: list[Any], capsys: pytest.CaptureFixture[str], handed_over: list[Project]
) -> None:
    """Its events are printed, harmless to the terminal."""
    on_progress += [Phase("loading"), Notice("warning", HOSTILE), Finished(9, 6, 1.5, "completed")]
    assert train(project, None, "auto", as_lines=False) == 0
    printed = capsys.readouterr().out
    assert "Finished at step 9" in printed and "\x1b" not in printed
    assert handed_over == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_pauses_and_is_the_exit_code(
    project: Project,
    on_progress: list[Any],
    capsys: pytest.CaptureFixture[str],
    handed_over: list[Project],
    number: signal.Signals,
) -> None:
    """That a pause is under way is said at once; without a terminal a hang-up hands nothing over."""
    on_progress += [Phase("training"), number, PAUSED]
    before = signal.getsignal(number)
    assert train(project, None, "auto", as_lines=False) == 128 + number
    assert "Pausing: the step is finished" in capsys.readouterr().out
    assert handed_over == [] and signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "times"), [(signal.SIGHUP, 1), (signal.SIGTERM, 0)])
def test_a_lost_terminal_hands_the_run_over(
    project: Project,
    on_progress: list[Any],
    handed_over: list[Project],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    times: int,
) -> None:
    """Only where there was one, and only for a hang-up."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    on_progress += [number, PAUSED]
    assert train(project, None, "auto", as_lines=True) == 128 + number
    assert handed_over == [project] * times


def test_a_run_that_finishes_in_spite_of_a_signal_is_0(
    project: Project, on_progress: list[Any], handed_over: list[Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step under way was the last: nothing is paused and nothing left to go on with."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    on_progress += [signal.SIGHUP, Finished(9, 6, 1.5, "completed")]
    assert train(project, None, "auto", as_lines=True) == 0
    assert handed_over == []


def test_a_defect_is_a_sentence_and_its_traceback_is_in_the_runs_log(
    project: Project, on_progress: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the background nobody sees the terminal: the log keeps what is needed to mend it."""
    on_progress += [Phase("loading"), ZeroDivisionError(HOSTILE)]
    assert train(project, None, "auto", as_lines=False) == 1
    printed = capsys.readouterr()
    assert "Training stopped at a defect: ZeroDivisionError" in printed.err
    assert "Traceback" not in printed.err + printed.out and "\x1b" not in printed.err
    log = project.log_file.read_text(encoding="utf-8")
    assert "Traceback" in log and "ZeroDivisionError" in log and "\x1b" not in log


def test_an_exception_without_words_is_named(
    project: Project, on_progress: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """An assertion says nothing by itself."""
    on_progress.append(AssertionError())
    assert train(project, None, "auto", as_lines=False) == 1
    assert "at a defect: AssertionError;" in " ".join(capsys.readouterr().err.split())
