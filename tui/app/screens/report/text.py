"""The report in the colours of the app."""

from engine.analysis.facts import RunSummary
from engine.analysis.report import format_details
from engine.analysis.verdict import Verdict
from engine.i18n import _
from engine.sanitize import printable

from textual.content import Content

_STYLES = {"✓": "bold $success", "!": "bold $warning", "✗": "bold $error", "·": "$muted"}
_COMMAND = " " * 5
"""What commands are indented by, and nothing else is."""


def report_text(summary: RunSummary, verdict: Verdict, width: int) -> Content:
    """Return the report without its headline and its pictures, which the screen shows itself.

    Args:
        summary: of the run.
        verdict: on it.
        width: columns that there are.
    """
    details = printable(format_details(summary, verdict, width)).rstrip()
    lines = (line for line in details.split("\n") if not line.endswith(".png"))
    return Content("\n").join(_coloured(line) for line in lines)


def meaning() -> Content:
    """Explain the words of the report; shown where there is room beside it."""
    parts = (
        (
            _("training loss"),
            _("How surprised the model is by the examples it learns from; lower is better."),
        ),
        (_("validation"), _("The same on examples it never learns from: what you can expect of it.")),
        (
            _("gap"),
            _("Their difference. Growth up to 0.2 is fine; above 0.5 the model learns by heart."),
        ),
        (_("best step"), _("Where validation was lowest; adapters/ holds the weights of that step.")),
        (_("checkpoint"), _("All that is needed to go on from a step; each also works as an adapter.")),
    )
    lines = [Content.assemble((name, "bold"), "\n", (text, "$muted"), "\n") for name, text in parts]
    return Content("\n").join(lines)


def _coloured(line: str) -> Content:
    symbol, rest = line[1:2], line[2:]
    if line.startswith(" ") and symbol in _STYLES:
        return Content.assemble(" ", (symbol, _STYLES[symbol]), rest)
    if line.startswith(_COMMAND):
        return Content.styled(line, "$accent")
    text, bar, rest = line.partition("█")
    return Content.assemble(text, (bar + rest, "$accent"))
