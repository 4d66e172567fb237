"""The boxes of the history: a report, the differences of two runs, a line of text, and a question."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from engine import units
from engine.analysis.facts import RunSummary
from engine.analysis.verdict import Verdict
from engine.errors import UserError
from engine.i18n import _, ngettext, number
from engine.runs.changes import Contents
from engine.runs.differences import Sameness, differing_settings, setting_text, shared_origin
from engine.runs.places import RunPlace
from engine.runs.record import RunRecord
from engine.sanitize import one_line
from tui.app.screens.report.text import report_text
from tui.app.screens.shared.dialog import ConfirmScreen, Dialog
from tui.app.screens.shared.line_input import LineInput
from tui.app.screens.shared.note_line import NoteAdded
from tui.app.screens.shared.verdict_line import VerdictLine
from tui.run.headline import run_sign

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static


class RunReportScreen(Dialog[None]):
    """The report of one run; any of Escape, Enter and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", _("Close"), id="run_report.close"),
    ]

    def __init__(self, place: RunPlace, summary: RunSummary, verdict: Verdict) -> None:
        super().__init__()
        self._place, self._summary, self._verdict = place, summary, verdict

    def compose(self) -> ComposeResult:
        """Draw headline and report."""
        with VerticalScroll(classes="dialog run-report") as box:
            box.border_title = Content(self._place.label)
            box.border_subtitle = Content(_("Esc closes"))
            yield VerdictLine(id="run-report-headline")
            yield Static(id="run-report-text")

    def on_mount(self) -> None:
        """Fill the lines."""
        self.query_one(VerdictLine).show(run_sign(self._summary, self._verdict), self._verdict.headline)
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        """Break commands for the new width."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        text = self.query_one("#run-report-text", Static)
        if width := text.content_size.width:
            text.update(report_text(self._summary, self._verdict, width))


class DifferencesScreen(Dialog[None]):
    """Two runs beside each other; any of Escape, Enter, d and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,d,q", "dismiss", _("Close"), id="differences.close"),
    ]

    def __init__(self, one: RunRecord, other: RunRecord) -> None:
        super().__init__()
        self._records = one, other

    def compose(self) -> ComposeResult:
        """Draw what they rest on, then their settings and results."""
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = Content(_("Differences"))
            box.border_subtitle = Content(_("Esc closes"))
            yield Static(self._table())

    def _table(self) -> Content:
        names = [record.place.short_label for record in self._records]
        lines = [_row("", names, "bold"), *map(_sameness, shared_origin(*self._records)), Content("")]
        differing = differing_settings(self._records)
        for name in differing:
            lines.append(_row(name, [setting_text(record, name) for record in self._records]))
        if not all(record.settings for record in self._records):
            lines.append(Content.styled(_("The settings of one of them are not known."), "$muted"))
        elif not differing:
            lines.append(Content.styled(_("All settings are the same."), "$muted"))
        lines.append(Content(""))
        for name, values in _results(self._records):
            lines.append(_row(name, values))
        return Content("\n").join(lines)


def _row(name: str, values: Sequence[str], style: str = "") -> Content:
    cells = "".join(f"{one_line(value, 21):<23}" for value in values)
    return Content.assemble((f"{one_line(name, 23):<25}", "$muted"), (cells.rstrip(), style))


def _sameness(found: Sameness) -> Content:
    words = {
        True: (_("= the same"), "$success"),
        False: (_("≠ another"), "$warning"),
        None: (_("? one of them does not tell"), "$muted"),
    }
    return Content.assemble((f"{one_line(found.what, 34):<36}", "$muted"), words[found.is_same])


def _results(records: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    runs = [record.summary for record in records]
    best = [units.nats(run.best_val_loss) if run and run.best_val_loss is not None else "-" for run in runs]
    last = [units.nats(run.last_loss) if run and run.last_loss is not None else "-" for run in runs]
    steps = [number(run.steps) if run else "-" for run in runs]
    time = [units.duration(run.duration_s) if run else "-" for run in runs]
    return [(_("best validation"), best), (_("training loss"), last), (_("steps"), steps), (_("time"), time)]


class LineScreen(Dialog[str | None]):
    """Asks for a line of text; Enter takes it, Escape leaves all as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", _("Leave"), id="line_of_text.leave"),
    ]

    def __init__(
        self, title: str, value: str, longest: int, check: Callable[[str], object] = lambda _line: None
    ) -> None:
        """Prepare the box.

        Args:
            title: what is asked for.
            value: the line to begin with.
            longest: characters it may have.
            check: raises a `UserError` for a line that cannot be taken.
        """
        super().__init__()
        self._title, self._value, self._longest, self._check = title, value, longest, check

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content(_("Enter takes it, Esc leaves"))
            yield LineInput(
                self._value,
                max_length=self._longest,
                refusal=ngettext(
                    "There is room for {n} character.", "There is room for {n} characters.", self._longest
                ).format(n=self._longest),
                compact=True,
            )
            yield Static(id="line-news", markup=False)

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        try:
            self._check(event.value)
        except UserError as error:
            self.query_one("#line-news", Static).update(f"✗ {one_line(str(error), 300)}")
        else:
            self.dismiss(event.value)

    @on(NoteAdded)
    def _say(self, note: NoteAdded) -> None:
        """Say in the box what the line does not take, such as a pasted text that is too long."""
        note.stop()
        self.query_one("#line-news", Static).update(f"✗ {note.text}")

    @on(Input.Changed)
    def _forget(self) -> None:
        self.query_one("#line-news", Static).update("")


def delete_for_good(place: RunPlace, contents: Contents) -> ConfirmScreen:
    """Return the question before an archived run is deleted."""
    count = ngettext("{n:,} file", "{n:,} files", contents.files).format(n=contents.files)
    if not contents.is_all:
        count = _("more than {count}").format(count=count)
    text = _("{folder} goes with all that is in it: {count}, {size}. It cannot be had back.")
    return ConfirmScreen(
        _("Delete this run?"),
        text.format(
            folder=one_line(place.project.run_name, 200), count=count, size=units.size(contents.bytes)
        ),
        yes=_("Delete it"),
        no=_("Keep it"),
    )


def bring_it_back(place: RunPlace) -> ConfirmScreen:
    """Return the question before an archived run takes the place of the present one."""
    return ConfirmScreen(
        _("Go on with this run?"),
        _("{name} becomes the present run and goes on; a run that is there now moves to the archive.").format(
            name=place.label
        ),
        yes=_("Bring it back and go on"),
        no=_("Leave it in the archive"),
    )


def put_away() -> ConfirmScreen:
    """Return the question before the present run is archived."""
    return ConfirmScreen(
        _("Archive this run?"),
        _("The present run moves to checkpoints_qlora/archive; nothing is deleted."),
        yes=_("Archive it"),
        no=_("Keep it"),
    )
