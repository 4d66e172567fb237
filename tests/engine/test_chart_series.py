"""What charts are drawn from: axes, smoothing, CSV and the picture of one chart."""

import csv
import io
import math
from pathlib import Path

from engine.analysis.chart_series import ChartData, csv_of, series_of
from engine.analysis.charts import write_chart
from engine.analysis.series import smooth
from engine.analysis.validations import validations_of
from engine.errors import UserError
from engine.training.history import load_history
from tests.support.run_files import write_run

import numpy as np
import pytest
from PIL import Image


def data_of(root: Path, losses: list[float | None], validations: dict[int, float] | None = None) -> ChartData:
    """Write a run and return what its charts are drawn from."""
    history = load_history(write_run(root, losses, validations))
    return ChartData(history, validations_of(history, None, None), 4.0, len(losses), (2,))


def test_smoothing_in_blocks_is_the_average_step_by_step() -> None:
    """Against the formula worked out one value after the other, over several blocks and a part of one."""
    values = np.random.default_rng(1).normal(2, 1, 1000)
    for weight in (0.0, 0.5, 0.99, 0.99999):
        mean, expected = 0.0, []
        for t, value in enumerate(values, 1):
            mean = weight * mean + (1 - weight) * value
            expected.append(mean / (1 - weight**t))
        assert smooth(values, weight) == pytest.approx(np.array(expected), rel=1e-9)


def test_axes_are_steps_tokens_and_seconds(tmp_path: Path) -> None:
    """100 tokens and two seconds a step; a reading names all three."""
    data = data_of(tmp_path, [3.0, 2.0, None, 1.0], {2: 2.5, 4: 2.0})
    assert series_of(data, axis="step").x.tolist() == [1, 2, 3, 4]
    assert series_of(data, axis="tokens").x.tolist() == [100, 200, 300, 400]
    assert series_of(data, axis="time").x.tolist() == [2, 4, 6, 8]
    series = series_of(data)
    second, third, last = (series.reading(row) for row in (1, 2, 3))
    assert (second.step, second.tokens, second.elapsed_s, second.value) == (2, 200, 4.0, 2.0)
    assert second.validation == 2.5 and second.is_checkpoint and not second.is_best
    assert math.isnan(third.value) and third.validation is None and third.smoothed == second.smoothed
    assert last.is_best and not last.is_checkpoint


def test_csv_says_what_the_file_says_and_is_bounded(tmp_path: Path) -> None:
    """Read by Python's own reader; of a long run every so many steps and each validation are in it."""
    series = series_of(data_of(tmp_path, [3.0, 2.0, None, *[1.0] * 3000], {2: 2.5, 1001: 2.25}))
    text, every = csv_of(series, 0, 3, 10_000)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert every == 1 and [row["step"] for row in rows] == ["1", "2", "3"]
    assert [row["loss"] for row in rows] == ["3", "2", ""] and rows[1]["val_loss"] == "2.5"
    assert [row["tokens"] for row in rows] == ["100", "200", "300"]
    text, every = csv_of(series, 0, 3003, 10_000)
    assert len(text) <= 10_000 and every > 1
    steps = [int(row["step"]) for row in csv.DictReader(io.StringIO(text))]
    assert {2, 1001} <= set(steps) and set(range(1, 3004, every)) <= set(steps)


def test_a_saved_chart_is_a_new_file(tmp_path: Path) -> None:
    """Neither a chart nor a file of somebody else's is written over; without a step nothing is drawn."""
    project = write_run(tmp_path, [3.0, 2.0, None, 0.0], {2: 2.5})
    history = load_history(project)
    data = ChartData(history, validations_of(history, None, None), 4.0, 4, (2,))
    taken = project.run_dir / "chart_loss_by_tokens_1-4.png"
    taken.write_text("mine")
    series = series_of(data, axis="tokens")
    path = write_chart(project, series, (0, 4), True, None)
    assert path.name == "chart_loss_by_tokens_1-4-2.png" and taken.read_text() == "mine"
    with Image.open(path) as picture:
        assert picture.size == (1800, 1050)
    assert write_chart(project, series, (0, 1), False, None).exists()
    with pytest.raises(UserError, match="no step to draw"):
        write_chart(project, series_of(ChartData()), (0, 0), False, None)
