"""Rows of another file: where they are, what its columns mean, what they become."""

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, ClassVar, cast

from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from tui.app.jobs import import_table as import_job
from tui.app.jobs.import_table import ImportMoved, ImportOver, TableOpened
from tui.app.screens.import_table.columns import Head, ImportColumns
from tui.app.screens.import_table.path_suggester import PathSuggester, named_path
from tui.app.screens.import_table.preview import ImportNotice, ImportPreview
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.line_input import LineInput
from tui.app.screens.shared.work_dialog import WorkDialog

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Select, Static

if TYPE_CHECKING:
    from engine.dataset.convert.column_mapping import ColumnMapping
    from engine.dataset.convert.imported import Imported
    from engine.dataset.convert.tables import Table
    from tui.app.state import AppState


class ImportDialog(WorkDialog["Imported | None"]):
    """Answers with what was imported, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "import", _("Import"), priority=True, id="import.start"),
        Binding("escape", "leave", _("Close"), id="import.close"),
        Binding("down", "app.focus_next", _("Next field"), show=False, id="import.next"),
        Binding("up", "app.focus_previous", _("Previous field"), show=False, id="import.previous"),
    ]

    WHEN_LEFT = _("The import is ended, and nothing of it is kept.")

    def __init__(self) -> None:
        super().__init__()
        self._asked: Path | None = None
        """The file that was last looked into."""
        self._table: Table | None = None
        self._is_awaited = False
        """Whether the rows were to be imported while the file was still being looked into."""
        self._imported: Imported | None = None
        self.is_to_be_used = False
        """Whether what was imported is to take the place of the data."""
        self._refused: ColumnMapping | None = None
        """The columns that were chosen when they were refused, while that is said."""

    @property
    def _project(self) -> Project:
        return cast("AppState", self.app).project

    def compose(self) -> ComposeResult:
        """Draw file, columns, preview, one line for notices and the buttons."""
        with Vertical(classes="dialog form import") as box:
            box.border_title = Content(_("Import rows"))
            box.border_subtitle = Content(
                _("→ completes the path, Enter reads it, Ctrl+S imports, Esc closes")
            )
            with Horizontal(classes="import-line"):
                yield Static(_("file"), classes="field-name")
                yield LineInput(
                    id="import-path",
                    compact=True,
                    placeholder=_("CSV, TSV, JSON or Parquet"),
                    suggester=PathSuggester(self._project.root),
                )
            yield Static(id="import-found", markup=False)
            yield ImportColumns()
            yield ImportPreview(classes="panel")
            yield ImportNotice()
            with Horizontal(classes="buttons"):
                yield Button(_("Import"), id="import-start", compact=True)
                yield Button(_("Use these rows"), id="import-use", compact=True)
                yield Button(_("Close"), id="import-close", classes="close", compact=True)

    def on_mount(self) -> None:
        """Begin with the file."""
        self._show_table(None, None)

    @on(Input.Changed, "#import-path")
    def _forget_refusal(self) -> None:
        """What was said was about another path."""
        if not self._cancel and not self._imported:
            self._say("")

    @on(Input.Submitted, "#import-path")
    @on(Input.Blurred, "#import-path")
    def _read_file(self) -> None:
        path = self._path()
        if path and path != self._asked and not self._cancel:
            self._look_into(path, Head(has_names=True, skipped=0))

    def _look_into(self, path: Path, head: Head) -> None:
        self._asked, self._is_awaited = path, False
        self._show_table(None, None)
        self._say(_("Looking into the file …"))
        self._open(path, head)

    def _path(self) -> Path | None:
        return named_path(self._project.root, self.query_one("#import-path", LineInput).value)

    @work(thread=True, exit_on_error=False, exclusive=True, group="open")
    def _open(self, path: Path, head: Head) -> None:
        import_job.open_table(path, head.has_names, head.skipped, self.post_message)

    def on_table_opened(self, message: TableOpened) -> None:
        """Show what was found, unless another file was named since."""
        if message.path != self._asked:
            return
        self._say("")
        if message.error:
            self._refuse(message.error)
            self._asked = None
        else:
            self._show_table(message.table, message.found)
            if self.query_one("#import-path").has_focus:
                self.query_one("#import-start" if message.found else "#import-prompt").focus()
            if self._is_awaited:
                self.action_import()

    def _show_table(self, table: "Table | None", found: "ColumnMapping | None") -> None:
        self._table = table
        for selector in ("ImportColumns", "#import-found", "#import-start"):
            self.query_one(selector).display = table is not None
        if table is None:
            self.query_one(ImportPreview).show_help()
            return
        self.query_one(ImportColumns).show(table, found)
        self._show_rows()

    @on(Select.Changed, "#import-header")
    def _read_otherwise(self, event: Select.Changed) -> None:
        """Read the file again, its first line as names, as a row, or passed over."""
        table, chosen = self._table, event.select.value  # of late events only the last choice counts
        if table and isinstance(chosen, Head) and chosen != Head.of(table.source):
            self._look_into(table.source.path, chosen)

    @on(Select.Changed)
    def _show_rows(self) -> None:
        columns = self.query_one(ImportColumns)
        if not self._table or self._cancel or self._imported:
            return
        columns.show_lists()
        mapping, names = columns.mapping, self._table.columns
        if self._refused and mapping != self._refused:
            self._refused = None
            self._say("")
        said = mapping.words(names) if mapping else columns.question(self._table)
        self.query_one("#import-found", Static).update(
            Content.assemble(f"{self._table.source.words}: ", (said, "$muted"))
        )
        self.query_one(ImportPreview).show_rows(self._table, mapping)

    @on(Button.Pressed, "#import-start")
    def action_import(self) -> None:
        """Import the rows, or say what is missing."""
        from engine.dataset.convert.detect_columns import refuse_twice

        if self._cancel or self._imported:
            return
        if self._path() is None:
            self._refuse(UserError(_("No file is named"), _("type its path and press Enter")))
            return
        if self._path() != self._asked:
            self._read_file()
            return
        if not self._table:
            self._is_awaited = True
            return
        mapping = self.query_one(ImportColumns).mapping
        if mapping is None:
            self._refuse(UserError(_("A column is not chosen"), _("choose it, or read the rows otherwise")))
            return
        try:
            refuse_twice(mapping)
        except UserError as error:
            self._refused = mapping
            self._refuse(error)
            return
        self._cancel = Event()
        self._lock(True)
        self._say(_("Starting …"))
        self._import(self._table, mapping, self._cancel)

    @work(thread=True, exit_on_error=False)
    def _import(self, table: "Table", mapping: "ColumnMapping", cancel: Event) -> None:
        import_job.import_rows(self._project, table, mapping, cancel, self.post_message)

    def on_import_moved(self, message: ImportMoved) -> None:
        """Say how far it is."""
        if self._is_working:
            self._say(message.words)

    def on_import_over(self, message: ImportOver) -> None:
        """Say what came of it."""
        self._cancel = None
        self._lock(False)
        if message.imported and self._table:
            self._imported = message.imported
            self._show_result(message.imported, self._table)
            return
        self.query_one("#import-start").focus()
        if message.error:
            self._refuse(message.error)
        else:
            self._say(_("Ended; nothing was written."))

    def _show_result(self, imported: "Imported", table: "Table") -> None:
        self._lock(True)
        self.query_one("#import-start").display = False
        self.query_one(ImportPreview).show_rejected(table, imported)
        self.query_one(ImportNotice).show_result(imported)
        self.query_one("#import-use").display = imported.folder != self._project.data_dir
        self.query_one("#import-close", Button).focus()

    @on(Button.Pressed, "#import-use")
    def _use(self) -> None:
        self.is_to_be_used = True
        self.dismiss(self._imported)

    def _lock(self, locked: bool) -> None:
        """Let nothing be changed while rows are imported, and afterwards."""
        for selector in ("#import-path", "ImportColumns", "#import-start"):
            self.query_one(selector).disabled = locked

    @property
    def _answer(self) -> "Imported | None":
        return self._imported
