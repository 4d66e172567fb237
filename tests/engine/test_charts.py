"""The two pictures of a run: resolution, size, short and odd runs."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from engine.analysis import epoch_panels, panels
from engine.analysis.chart_series import ChartData, series_of
from engine.analysis.charts import write_analysis, write_chart, write_dashboard
from engine.analysis.picture import DPI
from engine.analysis.run_folder import run_config
from engine.analysis.validations import validations_of
from engine.errors import UserError
from engine.i18n import numbers
from engine.project import Project
from engine.training.history import load_history
from engine.training.state import RunState
from tests.support.run_files import write_run
from tests.support.run_kinds import write_kind

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


def check(path: Path, size: tuple[int, int]) -> None:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == size
        assert [round(dpi) for dpi in picture.info["dpi"]] == [150, 150]
        colours = picture.convert("RGB").getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 100


def test_both_pictures_have_150_dpi(tmp_path: Path) -> None:
    """Three epochs, a skipped step and a hostile model name give both pictures and no other file."""
    losses = [4.0 - 0.1 * step for step in range(29)] + [None]
    project = write_run(
        tmp_path, losses, {10: 3.0, 20: 2.0, 30: 2.5}, model="$x_{\x1b[31m 模", initial_val_loss=4.1
    )
    assert write_dashboard(project) == project.dashboard_png
    assert write_analysis(project) == project.analysis_png
    check(project.dashboard_png, (2400, 1350))
    check(project.analysis_png, (2880, 1620))
    assert {path.suffix for path in project.run_dir.iterdir()} == {".json", ".png"}


def test_the_shortest_run_is_drawn(tmp_path: Path) -> None:
    """Two steps are enough, even where the loss is nil."""
    project = write_run(tmp_path, [0.0, 0.0])
    check(write_dashboard(project), (2400, 1350))
    check(write_analysis(project), (2880, 1620))


def test_one_step_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    """The refusal says how many steps there are, how many a chart needs and what to do."""
    project = write_run(tmp_path, [2.0, None])
    with pytest.raises(UserError, match=r"holds 1 step .*at least 2; train first: mqlora-tui train"):
        write_dashboard(project)
    with pytest.raises(UserError):
        write_analysis(Project(tmp_path / "nothing"))


@pytest.mark.parametrize("kind", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_named_where_a_chart_or_the_metrics_belong(
    tmp_path: Path, kind: Callable[[Path], None]
) -> None:
    """It is neither written over nor taken for a run without a step."""
    project = write_run(tmp_path, [3.0, 2.0])
    for path, write in ((project.dashboard_png, write_dashboard), (project.metrics_file, write_analysis)):
        path.unlink(missing_ok=True)
        kind(path)
        with pytest.raises(UserError, match=rf"{path.name} is a (folder|named pipe); take that away"):
            write(project)
        assert not path.is_file()


def test_a_persons_picture_is_not_drawn_over(tmp_path: Path) -> None:
    """Of another program or of this one's library, cut off, or none at all; charts of ours are redrawn."""
    project = write_run(tmp_path, [3.0, 2.0])
    own = BytesIO()
    Figure().savefig(own, format="png")
    photo = BytesIO()
    Image.new("RGB", (2400, 1350)).save(photo, format="png")
    for content in (own.getvalue(), photo.getvalue(), photo.getvalue()[:20], b"", b"thesis"):
        project.dashboard_png.write_bytes(content)
        with pytest.raises(UserError, match=r"is not a chart that mqlora-tui drew; move it elsewhere"):
            write_dashboard(project)
        assert project.dashboard_png.read_bytes() == content
    project.dashboard_png.unlink()
    for write in (write_dashboard, write_analysis):
        assert write(project) == write(project)


def test_a_chart_from_before_they_were_marked_is_redrawn(tmp_path: Path) -> None:
    """It names the drawing library and has exactly a chart's size."""
    project = write_run(tmp_path, [3.0, 2.0])
    figure = Figure(figsize=(16, 9), dpi=DPI)
    figure.savefig(project.dashboard_png, dpi=DPI)
    before = project.dashboard_png.read_bytes()
    write_dashboard(project)
    assert project.dashboard_png.read_bytes() != before
    with Image.open(project.dashboard_png) as picture:
        assert picture.info["Software"] == "mqlora-tui"


def test_metrics_that_nobody_may_read_are_no_run_without_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says what to do."""
    project = write_run(tmp_path, [3.0, 2.0])

    def closed(_path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("engine.training.history.open_own", closed)
    with pytest.raises(UserError, match="cannot be read: Permission denied; make it readable"):
        write_dashboard(project)


def test_importing_the_charts_does_not_load_matplotlib() -> None:
    """Only drawing pays for the plotting library."""
    code = "import sys, engine.analysis.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def panel(draw: Callable[[Axes], None]) -> Axes:
    """Return a drawn panel, as large as one of the detailed picture."""
    figure = Figure(figsize=(6.4, 5.4), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw(axes)
    canvas.draw()
    return axes


def test_steps_within_an_epoch_stand_where_they_were_made(tmp_path: Path) -> None:
    """Also behind steps that were skipped, and behind lines that were lost at an epoch's beginning."""
    losses = [None, 4.0, None, 3.0, 2.0, 2.0, None, 1.0, 1.0, 1.0]
    project = write_run(tmp_path, losses, steps_per_epoch=5)
    lines = project.metrics_file.read_text().splitlines(keepends=True)
    project.metrics_file.write_text("".join(lines[:5] + lines[7:]))  # without steps 6 and 7
    history = load_history(project)

    axes = panel(lambda axes: epoch_panels.cumulative_loss(axes, history, 5))
    sums = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}
    assert sums == {"epoch 1": ([2, 4, 5], [4, 7, 9]), "epoch 2": ([3, 4, 5], [1, 2, 3])}

    axes = panel(lambda axes: epoch_panels.loss_by_epoch(axes, history, 5))
    assert [list(line.get_xdata()) for line in axes.lines] == [[2, 4, 5]] * 2 + [[3, 4, 5]] * 2

    axes = panel(lambda axes: epoch_panels.loss_by_epoch(axes, history, 0))  # the length is not known
    assert [list(line.get_xdata()) for line in axes.lines] == [[2, 4, 5]] * 2 + [[1, 2, 3]] * 2


def test_no_legend_lies_over_a_curve(tmp_path: Path) -> None:
    """Whatever rises at its end, in whatever corner: legends stand below their panels and name all."""
    project, _course = write_kind(tmp_path, "exploding end")
    history = load_history(project)
    checked = validations_of(history, run_config(project), RunState.load(project.state_file))
    drawings: list[Callable[[Axes], None]] = [
        lambda axes: panels.loss_curves(axes, history, checked, 3.1),
        lambda axes: panels.learning_curve(axes, history, checked, 3.1),
        lambda axes: panels.improvement_rate(axes, history),
        lambda axes: panels.speed_and_memory(axes, history),
        lambda axes: epoch_panels.epoch_means(axes, history, checked),
        lambda axes: epoch_panels.loss_by_epoch(axes, history, 20),
        lambda axes: epoch_panels.cumulative_loss(axes, history, 20),
    ]
    for draw in drawings:
        axes = panel(draw)
        legend = axes.get_legend()
        assert legend is not None and len(legend.get_texts()) >= 2
        box = legend.get_window_extent()
        assert box.y1 < axes.xaxis.label.get_window_extent().y0
        assert box.y0 >= 0 and box.x1 <= axes.figure.bbox.x1


def test_validations_that_were_not_finite_are_drawn(tmp_path: Path) -> None:
    """At their steps, and an epoch that ended with one shows no other in its place."""
    project, _course = write_kind(tmp_path, "last validations not finite")
    history = load_history(project)
    checked = validations_of(history, run_config(project), RunState.load(project.state_file))
    axes = panel(lambda axes: panels.loss_curves(axes, history, checked, 3.1))
    marks = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert marks["validation not finite"] == [50, 60]
    assert marks["validation"] == [0, 10, 20, 30, 40]
    axes = panel(lambda axes: epoch_panels.epoch_means(axes, history, checked))
    assert list(axes.lines[0].get_ydata()) == [checked.losses[1], checked.losses[3]]


def test_numbers_on_all_axes_have_the_form_of_the_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Portuguese no decimal point is left, nor on a log scale, a right axis or in a bar."""
    monkeypatch.setattr(numbers, "language", lambda: "pt")
    numbers._replaced.cache_clear()
    seen: list[str] = []
    drawn = Figure.savefig

    def savefig(figure: Figure, *arguments: Any, **options: Any) -> None:
        drawn(figure, *arguments, **options)
        for axes in figure.axes:
            labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.get_yticklabels(minor=True)]
            seen.extend(label.get_text() for label in (*labels, *axes.texts))

    monkeypatch.setattr(Figure, "savefig", savefig)
    project = write_run(tmp_path, [4.0 - 0.1 * step for step in range(30)], {10: 3.0, 20: 2.0})
    try:
        write_dashboard(project)
        write_analysis(project)
        history = load_history(project)
        data = ChartData(history, validations_of(history, None, None), 4.1, 30, ())
        write_chart(project, series_of(data), (0, 30), True, None)
    finally:
        numbers._replaced.cache_clear()
    assert not [text for text in seen if "." in text] and sum("," in text for text in seen) > 30
