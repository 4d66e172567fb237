"""The token figures of the training file in two lines."""

from engine.dataset.report import DataReport, FileReport
from engine.i18n import _, ngettext
from tui.widgets.spark import spark

from textual.content import Content


def counts(report: DataReport) -> str:
    """Say how many examples there are, and how many rows are left out or want a look."""
    parts = [
        _("{n} train").format(n=f"{report.train.examples:,}"),
        _("{n} valid").format(n=f"{report.valid.examples:,}"),
    ]
    left_out = sum(file.rows - file.examples for file in (report.train, report.valid))
    if left_out:
        parts.append(ngettext("{n} row left out", "{n} rows left out", left_out).format(n=f"{left_out:,}"))
    warnings = sum(fault.severity == "warning" for fault in report.faults)
    if warnings:
        parts.append(ngettext("{n} to look at", "{n} to look at", warnings).format(n=f"{warnings:,}"))
    return " · ".join(parts)


def figures(file: FileReport, limit: int) -> Content:
    """Draw shortest, histogram and longest, then median, trained share and cuts."""
    tokens = file.tokens
    if tokens is None:
        return Content.styled(_("Token figures need a base model and a usable row."), "$muted")
    share = 100 * tokens.trained / tokens.total if tokens.total else 0.0
    rest = _("median {median}, {share:.0f} % trained, {cut} cut at {limit}").format(
        median=f"{tokens.median:,}", share=share, cut=f"{len(tokens.truncated_lines):,}", limit=f"{limit:,}"
    )
    return Content.assemble(
        (_("tokens "), "$muted"),
        "0 ",
        (spark(tokens.histogram), "$accent"),
        f" {tokens.longest:,}   ",
        rest,
    )
