"""The memory benchmarks: their cases are valid, their lines readable, and they run on a tiny model."""

from pathlib import Path

from benchmarks import footprint, memory
from benchmarks.memory import CASES, Case
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.fit.measure import Fit, Measured
from engine.memory.predict import MemoryBudget
from tests.support.tiny import RUN, write_model

import pytest

ROOM = MemoryBudget("gpu", 70_000_000_000, 80_000_000_000)
SHAPE = BatchShape.full(4, 512, 1000)


def found(peak: int, predicted: int | None) -> Fit:
    """Return a measurement that came to its end."""
    return Fit(True, ROOM, SHAPE, Measured(peak, peak, 1.0, predicted, False))


@pytest.mark.parametrize("device", CASES)
def test_every_case_can_be_measured(device: str) -> None:
    """At least eight, no two alike, each with exactly its rows in a micro-batch."""
    cases = CASES[device]
    assert len({case.name for case in cases}) == len(cases) >= 8
    for case in cases:
        assert isinstance(case.config, TrainingConfig)
        assert case.config.examples_per_step == case.rows
        assert case.config.max_seq_length == case.length


@pytest.mark.parametrize(
    ("fit", "end"),
    [
        (found(1_000_000_000, 1_140_000_000), "1.140 ok"),
        (found(1_000_000_000, 860_000_000), "0.860 ok"),
        (found(1_000_000_000, 1_160_000_000), "1.160 OFF"),
        (found(1_000_000_000, None), "- "),
        (Fit(False, ROOM, SHAPE, None, "MLX ran out of memory"), "- MLX ran out of memory"),
    ],
)
def test_a_line_says_how_far_off_a_prediction_is(fit: Fit, end: str) -> None:
    """Fifteen per cent either way is the promise."""
    assert memory.line(Case(4, 512, {}), fit).endswith(end)


@pytest.mark.slow
def test_half_of_the_tokens_carry_loss_where_that_is_said(tmp_path: Path) -> None:
    """Those rows come from a file; the others are as long and as dear as they may be."""
    model = write_model(tmp_path / "tiny")
    whole, half = (memory.measured(model, Case(2, 64, {}, half=half)).shape for half in (False, True))
    assert (whole.rows, whole.length, whole.targets) == (2, 64, 126)
    assert (half.rows, half.length) == (2, 64)
    assert half.targets < 0.75 * whole.targets


def test_memory_is_printed_over_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line every so often, and the run ends after the steps that were asked for."""
    project = footprint.make_project(tmp_path, write_model(tmp_path / "folder" / "tiny"), 40, 64)
    resident = footprint.watch(project, RUN.updated({"num_epochs": 5, "eval_every": 0}), 40)
    assert len(resident) == footprint.LINES and min(resident) > 10_000_000
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == "40"
