"""The answer to the question of the data screen: can this be trained on?"""

from engine.dataset.report import DataReport
from engine.i18n import _, ngettext, number
from tui.app.screens.data.fault_search import Overview
from tui.app.screens.shared.verdict_line import VerdictLine


class DataVerdict(VerdictLine):
    """Says how far the check is, and what it found."""

    def show_data(self, report: DataReport | None, counts: Overview, progress: str) -> None:
        """Draw the verdict.

        Args:
            report: what is known.
            counts: of its faults.
            progress: how far the check is, in words; empty where it is over.
        """
        rest = _counts(report, counts) if report else ""
        if progress:
            self.show("note", _("{progress} Esc ends it.").format(progress=progress), rest)
        elif report is None:
            self.show_waiting(_("The data is not checked; r does that."))
        elif any(fault.severity == "error" for fault in report.model_faults):
            self.show("error", _("The base model cannot be used."), rest)
        elif report.model and report.stage != "counted":
            self.show("warning", _("Checked in part; r checks the whole."), rest)
        elif not report.model:
            self.show("error", _("No base model to read the rows with."), rest)
        elif report.is_trainable:
            self.show("warning" if counts.total else "ok", _("Ready to train."), rest)
        else:
            self.show("error", _("Cannot be trained on yet."), rest)


def _counts(report: DataReport, counts: Overview) -> str:
    """Say how many examples there are, and how many rows are left out or want a look."""
    parts = [
        _("{n} train").format(n=number(report.train.examples)),
        _("{n} valid").format(n=number(report.valid.examples)),
    ]
    left_out = sum(file.rows - file.usable_rows for file in (report.train, report.valid))
    if left_out:
        parts.append(ngettext("{n} row left out", "{n} rows left out", left_out).format(n=number(left_out)))
    if warnings := counts.count("warning"):
        parts.append(ngettext("{n} to look at", "{n} to look at", warnings).format(n=number(warnings)))
    return " · ".join(parts)
