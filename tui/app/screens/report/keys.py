"""The keys of the report; which of them are offered depends on the run."""

from engine.i18n import _

from textual.binding import Binding, BindingType

REPORT_KEYS: list[BindingType] = [
    Binding(
        "p",
        "charts",
        _("Write charts"),
        tooltip=_("Draw both PNG files again"),
        show=False,  # they are drawn by themselves, and five keys have room
        id="report.charts",
    ),
    Binding("c", "checkpoints", _("Checkpoints"), tooltip=_("List the checkpoints"), id="report.checkpoints"),
    Binding(
        "w",
        "answers",
        _("Answers"),
        tooltip=_("See how the answers to data/prompts.txt changed from step to step"),
        show=False,
        id="report.answers",
    ),
    Binding(
        "s",
        "serve",
        _("Serve"),
        tooltip=_("Let other programs on this machine talk to the result; again: end that"),
        id="report.serve",
    ),
    Binding(
        "x",
        "export",
        _("Export"),
        tooltip=_("Write the adapter for another program, such as Ollama"),
        id="report.export",
    ),
    Binding(
        "e",
        "evaluate",
        _("Evaluate"),
        tooltip=_("See whether the adapter is better than its base model, beyond chance"),
        show=False,  # the report tells of it
        id="report.evaluate",
    ),
    Binding(
        "f",
        "save",
        _("Write report files"),
        tooltip=_("Write the report to hand on: report.html, report.md and its charts as SVG"),
        show=False,
        id="report.save",
    ),
    Binding("enter", "chat", _("Chat"), tooltip=_("Talk to the result"), id="report.chat"),
]

_NO_RUN = _("There is no run to report on; Train begins one.")
WHY_NOT = {
    **dict.fromkeys(
        ("charts", "answers", "checkpoints", "evaluate", "save", "export", "chat", "serve"), _NO_RUN
    ),
    "suggestion": _("The report suggests nothing more for this run."),
}
"""Why a key does nothing where it is not offered, by its action."""
