"""The benchmark of the app: what it reads on a terminal, what it makes of it, and the long run it writes."""

from pathlib import Path

from benchmarks.app import copy_project
from benchmarks.app_figures import Figure, between, describe, percentile, sent, slope
from benchmarks.app_parts import write_long_run
from benchmarks.watched_app import Moment, watched_app
from engine.project import Project
from tests.support.tiny import tiny_project
from tui.run.view import RunReader

import numpy as np
import pytest

_PROGRAM = """
import sys
print("\\x1b[2J\\x1b[1;1Hready", end="", flush=True)
for line in sys.stdin:
    print("\\x1b[1;1Hgot " + line.strip(), end="", flush=True)
"""


def test_a_program_is_watched_as_a_terminal_does(tmp_path: Path) -> None:
    """What is shown is read with its moment; bytes are counted, keys arrive, and the end ends it."""
    with watched_app(tmp_path, program=("-c", _PROGRAM)) as app:
        shown = app.wait_for("ready")
        assert shown.sent == len("\x1b[2J\x1b[1;1Hready") and shown.cpu_seconds > 0
        begin = app.press("key\n")
        answered = app.wait_for("got key")
        assert answered.seconds > begin.seconds
        assert sent(begin, answered) == len("key\r\n") + len("\x1b[1;1Hgot key")  # the terminal echoes
    with (
        pytest.raises(RuntimeError, match="did not come that far"),
        watched_app(tmp_path, program=("-c", "")) as app,
    ):
        app.wait_for("ready")


def test_a_figure_says_whether_its_target_is_met() -> None:
    """The median counts; a target that is missed has a mark."""
    spans = [(Moment(0, 0, 0), Moment(1.0, 0.5, size)) for size in (10, 30, 20)]
    figure = between("start", "bytes", 20, spans, sent)
    assert figure.value == 20 and figure.as_json()["is_met"] and "!" not in describe(figure)
    missed = Figure("start", "bytes", 19, figure.values)
    assert not missed.as_json()["is_met"] and "20!bytes" in describe(missed)
    assert percentile(range(100), 0.95) == 95


def test_the_slope_is_that_of_least_squares() -> None:
    """As NumPy has it, with the standard error of the textbook."""
    draw = np.random.default_rng(0)
    x = np.arange(40.0)
    y = 3 * x + draw.normal(size=40)
    (expected, _level), covariance = np.polyfit(x, y, 1, cov=True)
    found, error = slope(list(zip(x.tolist(), y.tolist(), strict=True)))
    assert found == pytest.approx(expected)
    assert error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert np.isnan(slope([(0.0, 1.0), (1.0, 2.0)])).all()


def test_the_long_run_is_a_run_and_the_project_a_copy(tmp_path: Path) -> None:
    """Its files are read without a fault; data are copied and models linked."""
    write_long_run(Project(tmp_path / "long"), 2000)
    view = RunReader(Project(tmp_path / "long")).read()
    assert view.figures.summary.steps == 2000
    source = tiny_project(tmp_path / "source")
    copy_project(source.root, tmp_path / "copy")
    copy = Project(tmp_path / "copy")
    assert copy.train_file.read_bytes() == source.train_file.read_bytes()
    assert {name: path.resolve() for name, path in copy.models().items()} == source.models()
