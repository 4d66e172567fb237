"""The two pictures of a run: where they are, whether they are out of date, what draws them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from engine.analysis.facts import RunSummary
from engine.i18n import _
from engine.importing import importing
from engine.project import Project

from textual.content import Content

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


@cache  # what is imported once need not be kept from the collector twice
def chart_writers() -> tuple[Callable[[Project], Path], ...]:
    """Return the two functions; importing matplotlib takes a second, so in a thread."""
    with importing():
        from engine.analysis.charts import write_analysis, write_dashboard

        import matplotlib.backends.backend_agg  # noqa: F401  # what they draw with

    return write_dashboard, write_analysis


def write_report_files(project: Project) -> Path:
    """Write the report to hand on and return its page; imports for a second, so in a thread.

    Raises:
        UserError: see `engine.report.write.write_report`.
    """
    with importing():
        from engine.report.write import write_report

    return write_report(project)


def charts_told(project: Project, is_drawing: bool) -> Content:
    """Say where the pictures are, or what draws them, and how else the run can be looked at."""
    files = [path for path in charts_of(project) if path.exists()]
    parts = [Content.assemble(("✓ ", "$success"), str(path.relative_to(project.root))) for path in files]
    if is_drawing:
        parts = [Content.styled(_("· Drawing the charts …"), "$muted")]
    elif not parts:
        parts = [Content.styled(_("No charts yet; p draws them."), "$muted")]
    if project.answers_file.exists():
        parts.append(Content.styled(_("· w shows what was answered from step to step."), "$muted"))
    return Content("\n").join(parts)
