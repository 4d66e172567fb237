"""The two pictures of a run: where they are, whether they are out of date, what draws them."""

from collections.abc import Callable
from pathlib import Path

from engine.analysis.facts import RunSummary
from engine.project import Project

_FEWEST_STEPS = 2
"""Steps that a chart needs."""


def charts_of(project: Project) -> tuple[Path, Path]:
    """Return where the pictures are, or would be."""
    return project.dashboard_png, project.analysis_png


def charts_are_old(project: Project, summary: RunSummary) -> bool:
    """Whether a picture is missing or older than the last step."""
    if summary.steps < _FEWEST_STEPS:
        return False
    written = project.metrics_file.stat().st_mtime
    return any(not path.exists() or path.stat().st_mtime < written for path in charts_of(project))


def chart_writers() -> tuple[Callable[[Project], Path], ...]:
    """Return the two functions; importing matplotlib takes a second, so in a thread."""
    from engine.analysis.charts import write_analysis, write_dashboard

    return write_dashboard, write_analysis
