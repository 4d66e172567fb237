"""A run on a real terminal that is stopped in native code that nothing interrupts: loading, a first step."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from engine.cluster.peer import MODULE
from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tests.campaigns.common import outcome
from tests.campaigns.signal_checks import processes_of
from tests.support.moments import step_done
from tests.support.ranks import train_together
from tests.support.terminal import Terminal
from tests.support.tiny import RUN, tiny_project, train
from tui.respawn import SUPERVISED

import psutil
import pytest

_HELD_UP = f"""
import os, sys
is_other = "{MODULE}" in sys.orig_argv
is_owner = "train" in sys.orig_argv and "{SUPERVISED}" in os.environ
if (os.environ["WHO"] == "other" and is_other) or (os.environ["WHO"] == "owner" and is_owner):
    import hashlib, pathlib
    import engine.training.setup as setup
    from engine.training.step import StepFunction
    def endless(*_arguments):
        pathlib.Path(os.environ["HELD_UP"]).touch()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    if os.environ["WHERE"] == "loading":
        setup.assemble = endless
    else:
        StepFunction.launch = endless
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A new project; none of its processes goes on after a test that failed."""
    project = tiny_project(tmp_path)
    yield project
    for process in processes_of(project):
        process.kill()


def held_up(
    project: Project,
    folder: Path,
    who: str,
    ranks: str,
    monkeypatch: pytest.MonkeyPatch,
    where: str = "loading",
) -> Terminal:
    """Start a run of which the "owner", or the "other" process, never ends what `where` says."""
    (folder / "sitecustomize.py").write_text(_HELD_UP)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, sys.path)]))
    monkeypatch.setenv("WHO", who)
    monkeypatch.setenv("WHERE", where)
    monkeypatch.setenv("HELD_UP", str(folder / "held_up"))
    RUN.save(folder / "run.json")
    options = ("--config", str(folder / "run.json"), "--ranks", ranks)
    terminal = Terminal("-C", str(project.root), "train", *options, columns=120)
    terminal.wait_until((folder / "held_up").exists, where)
    return terminal


@pytest.mark.parametrize(("who", "ranks"), [("owner", "1"), ("owner", "2"), ("other", "2")])
def test_ctrl_c_ends_the_loading_of_all_processes(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str, ranks: str
) -> None:
    """At once; it is said, and neither a process nor a folder is left."""
    terminal = held_up(project, tmp_path, who, ranks, monkeypatch)
    started = psutil.Process(terminal.pid).children(recursive=True)
    assert sum(MODULE in process.cmdline() for process in started) == int(ranks) - 1
    terminal.press("\x03")
    assert terminal.wait() == 128 + signal.SIGINT
    assert "Stopped while getting ready; no step was made" in terminal.text
    assert terminal.attributes() == terminal.first_attributes
    _gone, left = psutil.wait_procs(started, timeout=60)
    assert not left and not project.run_dir.exists()


def test_a_run_that_was_to_go_on_is_as_it_was(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by SIGTERM while it loads again: not a byte is other, and it goes on."""
    assert train_together(project, RUN, pause_after=("step_done", 4)).last == "paused"
    before = files(project)
    terminal = held_up(project, tmp_path, "other", "2", monkeypatch)
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    assert files(project) == before and lock_owner(project) is None
    monkeypatch.undo()
    assert train_together(project, None, "--ranks", "2").last == "finished"


@pytest.mark.parametrize("step", [0, 4])
def test_ctrl_c_ends_the_first_step_of_a_session(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """A card may compile for a minute in it; the run is paused at its checkpoint, and loses nothing."""
    if step:
        train(project, until=step_done(step))
    terminal = held_up(project, tmp_path, "owner", "1", monkeypatch, "the first step")
    terminal.press("\x03")
    assert terminal.wait() == 128 + signal.SIGINT
    assert f"Paused at step {step}, saved in checkpoint_epoch0_step{step}" in terminal.text
    assert terminal.attributes() == terminal.first_attributes and not processes_of(project)
    state = RunState.load(project.state_file)
    assert state is not None and (state.status, state.step) == ("paused", step)
    assert lock_owner(project) is None
    train(project, None, "resume")
    straight = tiny_project(tmp_path / "straight")
    train(straight)
    assert outcome(project) == outcome(straight)


def files(project: Project) -> dict[str, bytes]:
    """Return what is in the run's folder; the lock's file tells who had it last."""
    found = (path for path in project.run_dir.rglob("*") if path.is_file() and path != project.lock_file)
    return {str(path.relative_to(project.run_dir)): path.read_bytes() for path in found}


@pytest.mark.slow
def test_a_pause_names_the_processes_to_go_on_with(project: Project) -> None:
    """Without them the run goes on with one."""
    changes = {"num_epochs": 1000, "eval_every": 0, "save_every": 0, "learning_rate": 1e-4}
    project.make_run_dir()
    RUN.updated(changes).save(project.config_file)
    terminal = Terminal("-C", str(project.root), "train", "--ranks", "2", columns=200)
    terminal.wait_until(lambda: " loss " in terminal.text, "a step")
    terminal.press("\x03")
    assert terminal.wait() == 128 + signal.SIGINT
    assert "with as many processes again: " in terminal.text
    assert "train --resume --ranks 2" in terminal.text
