"""What the first rows of a table become, and which rows were rejected."""

from typing import TYPE_CHECKING, Any

from engine.i18n import _
from engine.text import one_line
from tui.shell import complete

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.dataset.imported import Imported
    from engine.dataset.mapping import Mapping
    from engine.dataset.records import Record, Rejected
    from engine.dataset.tables import Table

_ROWS = 3
_LONGEST = 400
"""Characters of each text."""


class ImportPreview(VerticalScroll):
    """A box; it scrolls with the arrow keys while it has the focus."""

    def compose(self) -> ComposeResult:
        """Yield the one text."""
        yield Static(id="import-rows")

    def show_rows(self, table: "Table", mapping: "Mapping | None") -> None:
        """Show what the first rows become, or as they are while it is not said what the columns mean."""
        self.border_title = Content(_("first rows"))
        self._say([_row(table, item, mapping) for item in table.sample[:_ROWS]])

    def show_rejected(self, table: "Table", imported: "Imported") -> None:
        """List rows that were not imported, below the fields that were not used."""
        self.border_title = Content(_("rejected rows"))
        rows = [_refused(table, row.place, row.reason, row.fix) for row in imported.listed]
        if (more := imported.rejected - len(rows)) > 0:
            rows.append(Content.styled(_("… and {n} more").format(n=f"{more:,}"), "$muted"))
        rows = rows or [Content.styled(_("none"), "$muted")]
        self._say([*([Content.styled(imported.note, "$muted")] if imported.note else []), *rows])

    def show_help(self) -> None:
        """Say what can be imported, and where it goes."""
        self.border_title = Content(_("what can be imported"))
        said = (
            _("CSV, TSV, one JSON array, JSON Lines, each also packed with gzip; Parquet."),
            _("Columns such as prompt and completion, question and answer, pergunta and resposta;")
            + " "
            + _("Alpaca (instruction, input, output), messages, ShareGPT, or plain text."),
            _("The rows go to data/, or to a new folder in it where there are data already.")
            + " "
            + _("A tenth is set apart for validation. Nothing is overwritten."),
        )
        self._say([Content.styled(text, "$muted") for text in said])

    def _say(self, rows: list[Content]) -> None:
        self.query_one("#import-rows", Static).update(Content("\n").join(rows))
        self.scroll_home(animate=False)


def _row(table: "Table", item: "Record | Rejected", mapping: "Mapping | None") -> Content:
    from engine.dataset.importing import written_row
    from engine.dataset.parsing import RowError
    from engine.dataset.records import Rejected

    import msgspec

    where = table.where(item.place)
    if isinstance(item, Rejected):
        return _refused(table, item.place, item.reason, item.fix)
    if mapping is None:
        return _texts(where, [(name, str(cell)[:_LONGEST]) for name, cell in item.value.items()])
    try:
        line, _written = written_row(item, mapping, item.place)
    except RowError as error:
        return _refused(table, item.place, error.message, error.fix)
    return _texts(where, _parts(msgspec.json.decode(line)))


def _parts(row: dict[str, Any]) -> list[tuple[str, str]]:
    if "messages" in row:
        return [(turn["role"], turn["content"]) for turn in row["messages"]]
    return list(row.items())


def _texts(where: str, parts: list[tuple[str, str]]) -> Content:
    lines = [Content.styled(where, "$muted")]
    for name, text in parts:
        lines.append(Content.assemble((f"  {one_line(name, 40)}  ", "$accent"), one_line(text, _LONGEST)))
    return Content("\n").join(lines)


def _refused(table: "Table", place: int, reason: str, fix: str) -> Content:
    return Content.assemble(
        (f"{table.where(place)}  ", "$muted"),
        ("✗ ", "bold $error"),
        one_line(reason, 200),
        (f" ({complete(one_line(fix, 200), table.source.path)})", "$muted"),
    )
