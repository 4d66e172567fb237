"""The two pictures of a run: resolution, size, short and odd runs."""

import subprocess
import sys
from pathlib import Path

from engine.analysis.charts import write_analysis, write_dashboard
from engine.errors import UserError
from engine.project import Project
from tests.engine.run_files import write_run

import pytest
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


def test_importing_the_charts_does_not_load_matplotlib() -> None:
    """Only drawing pays for the plotting library."""
    code = "import sys, engine.analysis.charts; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
