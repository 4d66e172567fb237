"""Reading a run back while it grows, is cut or starts again; thinning and smoothing."""

import os
import tracemalloc
from pathlib import Path

from engine.analysis.series import bucket_means, downsample, rolling_std, smooth
from engine.errors import UserError
from engine.project import Project
from engine.training.history import HistoryReader, load_history
from tests.support.run_files import line, write_lines

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

FLOATS = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def append(project: Project, text: str) -> None:
    with project.metrics_file.open("a", encoding="utf-8") as file:
        file.write(text)


def test_columns_hold_what_the_lines_say(project: Project) -> None:
    """Every number of a line arrives in its column; null becomes NaN."""
    write_lines(project, line(1, 4.5, tokens=7) + line(2, None, epoch=1, val_loss=3.25, grad_norm=None))
    history = load_history(project)
    assert history.step.tolist() == [1, 2]
    assert history.epoch.tolist() == [0, 1]
    assert history.tokens.tolist() == [7, 100]
    assert history.elapsed_s.tolist() == [2.0, 4.0]
    np.testing.assert_array_equal(history.loss, [4.5, np.nan])
    np.testing.assert_array_equal(history.val_loss, [np.nan, 3.25])
    np.testing.assert_array_equal(history.grad_norm, [1.0, np.nan])
    assert [values.tolist() for values in history.points("val_loss")] == [[2], [3.25]]


def test_no_file_is_an_empty_history(project: Project) -> None:
    """A project without a run has no steps."""
    assert len(load_history(project)) == 0


def test_poll_returns_the_same_object_until_something_is_written(project: Project) -> None:
    """A screen can see by identity that there is nothing to draw."""
    write_lines(project, line(1, 4.0))
    reader = HistoryReader(project)
    first = reader.poll()
    assert reader.poll() is first
    append(project, line(2, 3.0))
    second = reader.poll()
    assert second.loss.tolist() == [4.0, 3.0]
    assert first.loss.tolist() == [4.0]


def test_a_torn_last_line_waits_for_its_rest(project: Project) -> None:
    """Half a line is not read, and is read once when it is whole."""
    whole = line(2, 3.0)
    write_lines(project, line(1, 4.0) + whole[:20])
    reader = HistoryReader(project)
    assert reader.poll().step.tolist() == [1]
    append(project, whole[20:])
    history = reader.poll()
    assert history.step.tolist() == [1, 2]
    assert history.unreadable == 0


@pytest.mark.parametrize(
    "bad",
    [
        *("not json\n", "[1, 2]\n", '{"step": 2}\n', '{"step": "x", "loss": NaN}\n', "\udcff{}\n"),
        *(line(10**30, 1.0), line(2**63 - 1, 1.0), line(-2, 1.0), line(2, 1.0, tokens=2**62)),
        *(line(2, 1e308), line(2, 1.0, val_loss=-1e308), line(2, 1.0, elapsed_s=1e300)),
    ],
)
def test_unreadable_lines_are_left_out_and_counted(project: Project, bad: str) -> None:
    """Damage in the middle costs the damaged line only."""
    project.run_dir.mkdir()
    text = line(1, 4.0) + bad + line(3, 2.0)
    project.metrics_file.write_bytes(text.encode("utf-8", errors="surrogateescape"))
    history = load_history(project)
    assert history.step.tolist() == [1, 3]
    assert history.unreadable == 1


def test_a_shorter_file_is_read_again_from_its_start(project: Project) -> None:
    """A resume that dropped lines is noticed."""
    write_lines(project, line(1, 4.0) + line(2, 3.0) + line(3, 2.0))
    reader = HistoryReader(project)
    reader.poll()
    write_lines(project, line(1, 4.0))
    assert reader.poll().step.tolist() == [1]


def test_a_longer_file_with_another_past_is_read_again_from_its_start(project: Project) -> None:
    """Lines dropped and made again between two polls do not appear twice."""
    write_lines(project, line(1, 4.0) + line(2, 3.0))
    reader = HistoryReader(project)
    reader.poll()
    write_lines(project, line(1, 4.0) + line(2, 3.5) + line(3, 2.5))
    assert reader.poll().loss.tolist() == [4.0, 3.5, 2.5]


def test_a_replaced_file_is_read_from_its_start(project: Project) -> None:
    """A new file under the same name starts a new history."""
    write_lines(project, line(1, 4.0))
    reader = HistoryReader(project)
    reader.poll()
    other = project.run_dir / "other"
    other.write_text(line(1, 4.0) + line(2, 1.0), encoding="utf-8")
    os.replace(other, project.metrics_file)
    assert reader.poll().loss.tolist() == [4.0, 1.0]


def test_a_file_that_went_away_leaves_an_empty_history(project: Project) -> None:
    """After a restart moved the run into the archive nothing old is shown."""
    write_lines(project, line(1, 4.0))
    reader = HistoryReader(project)
    reader.poll()
    project.metrics_file.unlink()
    assert len(reader.poll()) == 0


def test_a_file_of_many_pieces_is_read_whole(project: Project) -> None:
    """Lines across the borders of the pieces the reader takes are not lost."""
    count = 5000
    write_lines(project, "".join(line(step, float(step)) for step in range(1, count + 1)))
    assert project.metrics_file.stat().st_size > 2 * (1 << 19)
    history = load_history(project)
    assert history.step.tolist() == list(range(1, count + 1))
    assert history.unreadable == 0


def test_what_never_ends_in_a_line_break_is_not_held_as_one(
    project: Project,
) -> None:
    """Zeros without end are passed over piece by piece, and what is larger than any run is not read."""
    write_lines(project, line(1, 4.0))
    with project.metrics_file.open("ab") as file:
        file.truncate(file.tell() + (64 << 20))
        file.write(b"\n")
    append(project, line(2, 3.0))
    tracemalloc.start()
    history = load_history(project)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert history.step.tolist() == [1, 2] and history.unreadable > 0
    assert peak < 16 << 20
    os.truncate(project.metrics_file, 20 << 30)
    assert len(HistoryReader(project).poll()) == 0
    with pytest.raises(UserError, match="larger than any run's; take it away"):
        load_history(project)


def test_downsample_keeps_the_extremes_of_each_bucket() -> None:
    """The lowest and the highest of every four points stay, in their order."""
    x, y = downsample(range(8), [3, 1, 9, 2, 5, 5, -7, 6], 2)
    assert x.tolist() == [1, 2, 6, 7]
    assert y.tolist() == [1, 9, -7, 6]


def test_bucket_means_average_both_axes() -> None:
    """Five points in two buckets: three and two."""
    x, y = bucket_means([1, 2, 3, 4, 5], [3, 6, 9, 10, 20], 2)
    assert x.tolist() == [2.0, 4.5]
    assert y.tolist() == [6.0, 15.0]


@given(FLOATS, st.integers(1, 20))
def test_no_thinned_curve_is_too_long_or_not_finite(values: list[float], buckets: int) -> None:
    """At most two points a bucket, and nothing a plot would choke on."""
    x, y = downsample(range(len(values)), values, buckets)
    assert len(x) == len(y) <= 2 * buckets
    assert np.isfinite(y).all()


def test_smooth_is_the_debiased_average() -> None:
    """By hand with weight 1/2: 4, then (0.5 * 2 + 1 * 1) / 0.75, ..."""
    assert smooth([4, 1, 1], 0.5) == pytest.approx([4.0, (1.0 + 0.5) / 0.75, (0.75 + 0.5) / 0.875])
    assert smooth([2.5] * 4, 0.9) == pytest.approx([2.5] * 4)


def test_smooth_holds_its_value_where_there_is_none() -> None:
    """A skipped step repeats the average; a skipped first step takes the next one."""
    assert smooth([np.nan, 4, np.inf, 4], 0.5).tolist() == [4.0, 4.0, 4.0, 4.0]
    assert len(smooth([np.nan], 0.5)) == 0


def test_rolling_std_agrees_with_numpy() -> None:
    """Each window's deviation is that of NumPy on the window alone."""
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    expected = [values[i : i + 3].std() for i in range(3)]
    assert rolling_std(values, 3) == pytest.approx(expected)
