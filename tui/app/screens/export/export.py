"""The dialog that writes the trained adapter for another program."""

from threading import Event
from typing import TYPE_CHECKING, ClassVar

from engine.analysis.facts import RunSummary
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from tui.app.jobs import export as export_job
from tui.app.jobs.export import ExportMoved, ExportOver
from tui.app.screens.export.form import ExportForm
from tui.app.screens.export.result import ExportResult
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.computing import busy
from tui.app.screens.shared.news_line import NewsLine
from tui.app.screens.shared.work_dialog import WorkDialog

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Select

if TYPE_CHECKING:
    from engine.export.exporter import Exported


class ExportDialog(WorkDialog[None]):
    """Asks for the form, writes it and shows what came of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "export", _("Export"), id="export.start"),
        Binding("c", "copy", _("Copy the command"), id="export.copy"),
        Binding("escape", "leave", _("Close"), id="export.close"),
        Binding("down", "app.focus_next", _("Next field"), show=False, id="export.next"),
        Binding("up", "app.focus_previous", _("Previous field"), show=False, id="export.previous"),
    ]

    WHEN_LEFT = _("The export is ended, and nothing of it is kept.")

    def __init__(self, summary: RunSummary, project: Project | None = None) -> None:
        """Prepare the dialog.

        Args:
            summary: of the run whose adapters can be exported.
            project: as that run sees it; None for the present one.
        """
        super().__init__()
        self._summary = summary
        self._project = project
        self._done: Exported | None = None

    def compose(self) -> ComposeResult:
        """Draw the form, one line of news, the result and the buttons."""
        with Vertical(classes="dialog export") as box:
            box.border_title = Content(_("Export"))
            box.border_subtitle = Content(_("Space opens a list, Enter exports, Esc ends it or closes"))
            yield ExportForm(self._summary)
            with VerticalScroll(id="export-scroll"):
                yield ExportResult(self._mqlora.project.root)
            yield NewsLine(id="export-news")
            with Horizontal(classes="buttons"):
                yield Button(_("Export"), id="export-start", compact=True)
                yield Button(_("Close"), id="export-close", classes="close", compact=True)

    def on_mount(self) -> None:
        """Begin with the program."""
        self.query_one("#export-scroll").display = False
        self.query_one("#export-target").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is a command to copy once there is an export, and then nothing more to export."""
        if action in ("copy", "export"):
            return (self._done is not None) == (action == "copy")
        return super().check_action(action, parameters)

    @on(Input.Submitted)
    @on(Button.Pressed, "#export-start")
    def action_export(self) -> None:
        """Begin, unless it is under way."""
        if self._cancel:
            return
        if refusal := busy(self._mqlora):
            self._refuse(refusal)
            return
        try:
            request = self.query_one(ExportForm).request(self._mqlora.project.root)
        except UserError as error:
            self._refuse(error)
            return
        engine, cancel = self._mqlora.engine, Event()
        self._cancel = cancel
        self._lock(True)
        self._say(_("Starting …"))

        def is_ended() -> bool:
            return cancel.is_set() or engine.stop_event.is_set()

        project = self._project or self._mqlora.project
        engine.submit_leavable(export_job.export, project, request, is_ended, self.post_message)

    @on(Select.Changed)
    @on(Input.Changed)
    def _forget_refusal(self) -> None:
        """What was refused is not what is asked for now."""
        if not self._cancel and not self._done:
            self._say("")

    def on_export_moved(self, message: ExportMoved) -> None:
        """Say how far it is."""
        if self._is_working:
            text = _("{stage}: {share:.0%}. Esc ends it.")
            self._say(text.format(stage=message.stage, share=message.share))

    def on_export_over(self, message: ExportOver) -> None:
        """Say what came of it."""
        self._cancel = None
        if message.done:
            self._show_result(message.done)
            return
        self._lock(False)
        self.query_one("#export-target").focus()
        if message.error:
            self._refuse(message.error)
        else:
            self._say(_("Ended; nothing was written."))

    def _show_result(self, done: "Exported") -> None:
        self._done = done
        for selector in ("ExportForm", "#export-start"):
            self.query_one(selector).display = False
        self.query_one("#export-scroll").display = True
        self.query_one(ExportResult).show(done)
        self.query_one("#export-close").focus()
        self.query_one(".export").border_subtitle = Content(_("c copies the command, Esc closes"))
        self._say("")
        self.refresh_bindings()

    def action_copy(self) -> None:
        """Let the terminal have the command that tries the export."""
        if self._done:
            self.app.copy_to_clipboard(self._done.command)
            self._say(_("Copied."))

    def _lock(self, locked: bool) -> None:
        """Let nothing be changed while the files are written."""
        for selector in ("ExportForm", "#export-start"):
            self.query_one(selector).disabled = locked
