"""The one thread that owns MLX."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from engine.worker import EngineThread
from tests.support.tiny import tiny_project

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine() -> EngineThread:
    return EngineThread()


def test_jobs_run_one_after_the_other_on_one_thread(engine: EngineThread) -> None:
    """Never on the caller's thread, in the order of submission."""
    order: list[int] = []

    def job(number: int) -> int:
        order.append(number)
        return threading.get_ident()

    threads = {future.result() for future in [engine.submit(job, n) for n in range(20)]}
    assert order == list(range(20))
    assert len(threads) == 1 and threads != {threading.get_ident()}
    assert engine.close()


def test_a_failed_job_does_not_end_the_thread(engine: EngineThread) -> None:
    """The error arrives in its future and the next job runs."""
    with pytest.raises(ZeroDivisionError):
        engine.submit(lambda: 1 // 0).result()
    assert engine.submit(lambda: 2).result() == 2
    assert engine.idle.wait(10)
    assert engine.close()


def test_close_stops_the_running_job_and_waits_for_it(engine: EngineThread) -> None:
    """A job that looks at the stop event ends by itself; then no further job is taken."""
    done: list[bool] = []

    def job() -> None:
        done.append(engine.stop_event.wait(30))

    engine.submit(job)
    assert not engine.idle.is_set()
    assert engine.close()
    assert done == [True] and engine.idle.is_set()
    with pytest.raises(RuntimeError):
        engine.submit(job)


def test_close_does_not_wait_for_a_job_with_nothing_to_save(
    engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply in native code is left; training before it or after it is not."""
    monkeypatch.setattr("engine.worker.MOMENT_S", 0.0)
    let_go, saved = threading.Event(), threading.Event()
    engine.submit(saved.wait)
    engine.submit_leavable(let_go.wait)
    assert not engine.leavable.is_set()
    saved.set()
    assert engine.leavable.wait(10) and not engine.idle.is_set()
    assert not engine.close(timeout=600)
    let_go.set()
    assert engine.idle.wait(10)


def test_close_gives_up_on_a_job_that_does_not_end(engine: EngineThread) -> None:
    """The caller learns that the job still runs."""
    release = threading.Event()
    future = engine.submit(release.wait, 30)
    assert not engine.close(timeout=0.01)
    release.set()
    assert future.result()


def test_a_new_job_is_not_stopped_by_an_old_request(engine: EngineThread) -> None:
    """The stop event is cleared when nothing runs, and only then."""
    engine.stop_event.set()
    assert engine.submit(engine.stop_event.is_set).result() is False
    gate = threading.Event()
    first = engine.submit(gate.wait, 30)
    engine.stop_event.set()
    second = engine.submit(engine.stop_event.is_set)
    gate.set()
    assert first.result() and second.result() is True
    assert engine.close()


def test_idle_is_never_set_while_a_job_waits(engine: EngineThread) -> None:
    """Also when a job is submitted in the moment in which the one before ends."""
    for _attempt in range(300):
        release = threading.Event()
        engine.submit(lambda: None)
        last = engine.submit(release.wait, 30)
        assert not engine.idle.is_set()
        release.set()
        last.result()
    assert engine.close()


TRAINS = """
import sys
from pathlib import Path
from engine.project import Project
from engine.worker import EngineThread
from engine.training.events import StepDone

def train(stop):
    from engine.training.trainer import Trainer
    from tests.support.tiny import RUN
    steps = 0
    for event in Trainer(Project(Path(sys.argv[1])), RUN, stop).run():
        steps += isinstance(event, StepDone)
        if steps == 3:
            stop.set()
    return type(event).__name__

engine = EngineThread()
print(engine.submit(train, engine.stop_event).result(), engine.close())
"""


def test_a_process_that_trained_exits_cleanly(tmp_path: Path) -> None:
    """Streams that outlive their thread would abort it (return code -6)."""
    project = tiny_project(tmp_path)
    command = [sys.executable, "-c", TRAINS, str(project.root)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "Paused True\n"), ended.stderr


def test_the_screen_comes_before_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread alone, and what that one starts, gives way on a core that both want."""
    given: list[tuple[int, int, int]] = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.getpriority", lambda _kind, _who: 3)
    monkeypatch.setattr("os.setpriority", lambda *asked: given.append(asked))
    engine = EngineThread()
    thread = engine.submit(threading.get_native_id).result()
    assert engine.close() and thread != threading.get_native_id()
    assert given == [(os.PRIO_PROCESS, thread, 8)]


def test_an_engine_that_may_not_give_way_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its priority is no condition for anything."""

    def refused(*_asked: int) -> None:
        raise PermissionError

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.setpriority", refused)
    engine = EngineThread()
    assert engine.submit(lambda: 7).result() == 7 and engine.close()
