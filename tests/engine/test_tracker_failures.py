"""A tracker that fails is named once and left out; the run is what it would have been."""

from pathlib import Path

from engine.project import Project
from engine.trackers import tracker as trackers
from engine.trackers.tracker import Tracker
from engine.training.events import Event, Finished, Notice
from tests.support.tiny import RUN, files_below, metrics_rows, train

import pytest

_WRITER = """
class SummaryWriter:
    def __init__(self, *arguments, **named): {open}
    def add_scalar(self, *arguments, **named): {log}
    def flush(self): pass
    def close(self): pass
    @property
    def file_writer(self): return self
    def add_summary(self, summary): pass
"""
_FAILURES = {
    "cannot be imported": ("pass", "pass", "import no_such_module"),
    "does not open": ("raise OSError(28, 'No space left on device')", "pass", ""),
    "raises": ("pass", "raise ValueError('[bold]\\x1b[2J no more')", ""),
    "leaves": ("pass", "__import__('sys').exit(3)", ""),
    "dies": ("pass", "__import__('os').kill(__import__('os').getpid(), 9)", ""),
    "hangs": ("pass", "__import__('threading').Event().wait()", ""),
}
_REASONS = {
    "cannot be imported": "No module named 'no_such_module'",
    "does not open": "No space left on device",
    "raises": "no more",
    "leaves": "SystemExit: 3",
    "dies": "its process ended unexpectedly",
    "hangs": "it did not end within",
}


def broken_library(folder: Path, how: str) -> None:
    """Write a library in the place of tensorboardX."""
    package = folder / "tensorboardX"
    package.mkdir(parents=True)
    opened, logged, first = _FAILURES[how]
    (package / "__init__.py").write_text(first + _WRITER.format(open=opened, log=logged))
    (package / "summary.py").write_text("def hparams(settings, results): return 0, 0, 0\n")


@pytest.mark.parametrize("how", _FAILURES)
def test_a_library_that_fails_is_left_out(
    how: str,
    project: Project,
    finished: tuple[Project, list[Event]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One notice with the reason; steps, best and checkpoints are those of a run without a tracker."""
    broken_library(tmp_path / "libraries", how)
    monkeypatch.syspath_prepend(str(tmp_path / "libraries"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "libraries"))
    monkeypatch.setattr(trackers, "LIMIT_S", 0.2 if how == "hangs" else 500.0)
    events = train(project, RUN.updated({"trackers": "tensorboard"}))
    told = [event.message for event in events if isinstance(event, Notice) and "TensorBoard" in event.message]
    assert len(told) == 1 and _REASONS[how] in told[0] and "\x1b" not in told[0]
    assert isinstance(events[-1], Finished)
    assert metrics_rows(project) == metrics_rows(finished[0])
    assert files_below(project.adapters_dir) == files_below(finished[0].adapters_dir)


def test_one_that_takes_nothing_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More waits for it than is kept: what tells it something does not wait, and its process is ended."""
    monkeypatch.setattr(trackers, "MOST_WAITING", 2)
    monkeypatch.setattr(trackers, "CHILD", ("-c", "import threading; threading.Event().wait()"))
    tracker = Tracker("tensorboard", {})
    for _ in range(100):
        tracker.tell(row="x" * 1_000_000)  # more than fits in a pipe
    assert tracker.failure == "it takes in nothing any more"
    tracker._thread.join()
    assert tracker._process is None or tracker._process.returncode == -9


def test_the_process_ends_with_the_run(tmp_path: Path) -> None:
    """Also where nobody says goodbye: once its input ends it closes what it has."""
    (tmp_path / "run").mkdir()
    order = {
        "folder": str(tmp_path / "run"),
        "metrics": "",
        "kept": 0,
        "run": "a",
        "project": "p",
        "config": {},
    }
    tracker = Tracker("tensorboard", order)
    tracker.abandon()
    tracker._thread.join()
    assert tracker.failure == "" and tracker._process is not None and tracker._process.returncode == 0
    assert list((tmp_path / "run" / "trackers" / "tensorboard").glob("events.out.tfevents.*"))


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """Nothing is written where it leads."""
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "trackers").symlink_to(tmp_path / "elsewhere")
    tracker = Tracker("tensorboard", {"folder": str(tmp_path / "run"), "run": "a"})
    tracker.abandon()
    tracker._thread.join()
    assert "is no folder" in tracker.failure and not list((tmp_path / "elsewhere").iterdir())
