"""The slow parts of an import: called in threads, they answer with messages."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from engine import units
from engine.errors import Cancelled, UserError
from engine.i18n import _
from engine.project import Project
from tui.app.jobs.machine_and_data import Post

from textual.message import Message

if TYPE_CHECKING:  # they import numpy, so not at start-up
    from engine.dataset.convert.column_mapping import ColumnMapping
    from engine.dataset.convert.import_table import ImportStage
    from engine.dataset.convert.imported import Imported
    from engine.dataset.convert.tables import Table


@dataclass
class TableOpened(Message, bubble=False):
    """A file was looked into, or cannot be read."""

    path: Path
    table: "Table | None" = None
    found: "ColumnMapping | None" = None
    """What its columns seem to mean."""
    error: UserError | None = None


@dataclass
class ImportMoved(Message, bubble=False):
    """So many rows have reached a stage."""

    stage: "ImportStage"
    count: int

    @property
    def words(self) -> str:
        """How far it is, and how it is ended."""
        text = _("{rows} read …") if self.stage == "read" else _("{rows} written …")
        return _("{text} Esc ends it.").format(text=text.format(rows=units.rows(self.count)))


@dataclass
class ImportOver(Message, bubble=False):
    """The rows were imported; or that was refused; with neither it was ended on request."""

    imported: "Imported | None" = None
    error: UserError | None = None


def open_table(path: Path, has_header: bool, skip_lines: int, post: Post) -> None:
    """Look into a file and post what it is.

    Args:
        path: of the file.
        has_header: whether the first line of a delimited text names its columns.
        skip_lines: first lines of one that are passed over.
        post: gets a `TableOpened`.
    """
    from engine.dataset.convert.detect_columns import choose, detect
    from engine.dataset.convert.tables import open_table as look

    try:
        table = look(path, has_header, skip_lines)
        is_pair = not has_header and len(table.columns) == len(("prompt", "completion"))
        post(TableOpened(path, table, choose(table) if is_pair else detect(table)))
    except UserError as error:
        post(TableOpened(path, error=error))


def import_rows(
    project: Project, table: "Table", mapping: "ColumnMapping", cancel: Event, post: Post
) -> None:
    """Import the rows of a table; post how far that is and what came of it."""
    from engine.dataset.convert.import_table import ImportOptions
    from engine.dataset.convert.import_table import import_rows as import_all

    def on_progress(stage: "ImportStage", count: int) -> None:
        post(ImportMoved(stage, count))

    try:
        post(ImportOver(import_all(project, table, mapping, ImportOptions(), on_progress, cancel)))
    except UserError as error:
        post(ImportOver(error=error))
    except Cancelled:
        post(ImportOver())
