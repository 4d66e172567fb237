"""The cost of the app: both sides make the same steps, and figures follow from what was measured."""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from benchmarks import app_training
from benchmarks.app_training import make_project, ratio, summarize
from benchmarks.program import Steps, run_program
from engine.config import TrainingConfig
from engine.project import Project
from tests.support.tiny import tiny_project

import psutil
import pytest


def steps(*seconds: float, cpu: float = 1.0) -> Steps:
    return Steps(list(seconds), [100 + i for i in range(len(seconds))], cpu)


def _command(process: psutil.Process) -> str:
    """Return its command line; nothing where it is not told."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.mark.slow
def test_a_pair_is_run_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Headless and in the app on a terminal; nothing runs afterwards and the project is as it was."""
    project = tiny_project(tmp_path, train=6)
    command = f"app_training {tmp_path} --steps 8 --skip 2 --pairs 1 --set max_seq_length=64"
    monkeypatch.setattr(sys, "argv", command.split())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    app_training.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines[:3]] == ["run", "headless", "app"]
    assert all(float(line[1]) > 0 for line in lines[1:3])
    assert lines[-2][:3] == ["app", "/", "headless:"] and float(lines[-2][3]) > 0
    assert lines[-1][:5] == ["each", "step", "at", "its", "fastest,"] and float(lines[-1][-1]) > 0
    assert not project.run_dir.exists()
    assert not [process for process in psutil.process_iter() if str(tmp_path) in _command(process)]


def test_a_run_has_the_wanted_steps(tmp_path: Path) -> None:
    """As many rows as they take, whatever the data has; settings are those of the run."""
    source = tiny_project(tmp_path / "source", train=6)
    project = make_project(source, tmp_path / "copy", 5, ["batch_size=4", "gradient_accumulation=1"])
    rows = project.train_file.read_text().splitlines()
    assert len(rows) == 5 * 4 and rows[6] == rows[0]
    config = TrainingConfig.load(project.config_file)
    assert (config.batch_size, config.num_epochs, config.save_every) == (4, 1, 0)
    assert list(project.models()) == list(source.models())


def test_a_program_that_ends_early_is_reported(tmp_path: Path) -> None:
    """With what it wrote: here a project without data."""
    project = Project(tmp_path)
    with pytest.raises(RuntimeError, match="did not come that far"):
        run_program("headless", project, 8, 2)


def test_each_step_is_compared_with_itself() -> None:
    """A slow step in both is no difference, one in the app alone is not the median."""
    headless, app = steps(1.0, 2.0, 9.0), steps(1.1, 2.2, 27.0, cpu=1.5)
    assert ratio(app, headless) == pytest.approx(1.1)
    lines = summarize([headless, steps(2.0, 4.0, 18.0)], [app, steps(2.0, 4.0, 18.0)])
    assert lines[:2] == [
        "headless: median step 3.0000 s, CPU 1.0000 s a step",
        "app: median step 3.1000 s, CPU 1.2500 s a step",
    ]
    assert lines[2].startswith("app / headless: 1.0500 (pairs 1.0000 to 1.1000; all 6 steps 1.0500")
    # Fastest: 1.1, 2.2 and 18 s in the app; 1, 2 and 9 s headless.
    assert lines[3] == "each step at its fastest, app / headless: 1.7750"
    assert lines[4] == "headless / headless before: 2.0000 to 2.0000"


def test_other_steps_are_refused() -> None:
    """They would compare different work."""
    with pytest.raises(ValueError, match="same steps"):
        ratio(steps(1.0, 2.0), steps(1.0))
