"""What is said of a run below the list, and which sign and colour is which in the chart."""

from engine import units
from engine.i18n import _
from engine.runs.differences import setting_text
from engine.runs.places import RunPlace
from engine.runs.record import RunRecord
from engine.sanitize import one_line
from tui.app.screens.history.overlay_plot import DrawnRun, OverlayPlot

from textual.content import Content


def about(record: RunRecord, settings: tuple[str, ...]) -> Content:
    """Return what is said of a run below its verdict: where it is, what is wrong, its settings, its note."""
    lines = [Content.styled(_where(record), "$muted")]
    if record.problem and record.verdict:
        lines.append(Content.assemble(("! ", "bold $warning"), f"{one_line(record.problem, 300)}."))
    if record.settings and settings:
        values = (f"{name} {setting_text(record, name)}" for name in settings)
        lines.append(Content.styled(one_line("  ".join(values), 300), "$muted"))
    if record.note:
        lines.append(Content.assemble(("✎ ", "$accent"), record.note))
    return Content("\n").join(lines)


def _where(record: RunRecord) -> str:
    """Return folder, time, base model and length of a run."""
    parts, run = [one_line(record.place.project.run_name, 100)], record.summary
    if record.started:
        parts.append(one_line(units.moment(record.started), 20))
    if run:
        parts.append(one_line(run.model, 40))
        total = max(run.total_steps, run.steps)
        parts.append(_("step {step:,} of {total:,}").format(step=run.steps, total=total))
    return " · ".join(filter(None, parts))


def legend(drawn: list[tuple[RunPlace, DrawnRun]], plot: OverlayPlot) -> Content:
    """Return which sign and colour is which run."""
    parts = []
    for place, run in drawn:
        colour = plot.colour(run.place)
        parts.append(Content.assemble((f"━ {run.sign} ", f"bold {colour}"), (place.short_label, "$muted")))
    if drawn:
        parts.append(Content.styled(_("line: training loss, sign: validation"), "$muted"))
    return Content("   ").join(parts)
