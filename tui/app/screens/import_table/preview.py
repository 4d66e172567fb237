"""What the first rows of a table become, which rows were rejected, and a line on how the import goes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.i18n import _, number
from engine.sanitize import one_line
from tui.app.screens.shared.news_line import NewsLine
from tui.shell import complete

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from engine.dataset.convert.column_mapping import ColumnMapping
    from engine.dataset.convert.imported import Doubt, Imported
    from engine.dataset.convert.records import Rejected
    from engine.dataset.convert.tables import Table

_ROWS = 3
_LONGEST = 400
"""Characters of each text."""


class ImportNotice(NewsLine):
    """How far the import is, what came of it, or why it was refused."""

    def show_result(self, imported: "Imported") -> None:
        """Say how many rows went where."""
        folder = one_line(str(imported.folder), 200)
        self.update(Content.assemble(("✓ ", "bold $success"), f"{folder}: {imported.words}."))


class ImportPreview(VerticalScroll):
    """A box; it scrolls with the arrow keys while it has the focus."""

    def compose(self) -> ComposeResult:
        """Yield the one text."""
        yield Static(id="import-rows")

    def show_rows(self, table: "Table", mapping: "ColumnMapping | None") -> None:
        """Show what the first rows become, or as they are while it is not said what the columns mean."""
        self.border_title = Content(_("first rows"))
        shown = replace(table, sample=table.sample[:_ROWS])
        self._say(_as_they_are(shown) if mapping is None else _tried(shown, mapping))

    def show_rejected(self, table: "Table", imported: "Imported") -> None:
        """List rows that were not imported, below the fields that were not used."""
        self.border_title = Content(_("rejected rows"))
        rows = [_refused(table, row) for row in imported.listed]
        if (more := sum(imported.kinds.values()) - len(rows)) > 0:
            rows.append(Content.styled(_("… and {n} more").format(n=number(more)), "$muted"))
        rows[:0] = _doubtful(table, imported.doubts)
        note = [Content.styled(imported.note, "$muted")] if imported.note else []
        self._say([*note, *(rows or [Content.styled(_("no row was rejected"), "$muted")])])

    def show_help(self) -> None:
        """Say what can be imported, and where it goes."""
        self.border_title = Content(_("what can be imported"))
        said = (
            _("CSV, TSV, one JSON array, JSON Lines, each also packed with gzip; Parquet."),
            _("Columns such as prompt and completion, question and answer, pergunta and resposta;")
            + " "
            + _("Alpaca (instruction, input, output), messages, ShareGPT, or plain text."),
            _("The rows go to data/, or to a new folder in it where there is data already.")
            + " "
            + _("A tenth is set apart for validation. Nothing is overwritten."),
        )
        self._say([Content.styled(text, "$muted") for text in said])

    def _say(self, rows: list[Content]) -> None:
        self.query_one("#import-rows", Static).update(Content("\n").join(rows))
        self.scroll_home(animate=False)


def _as_they_are(table: "Table") -> list[Content]:
    """Show rows of which nobody knows yet what they mean."""
    from engine.dataset.convert.records import Rejected

    return [
        _refused(table, item)
        if isinstance(item, Rejected)
        else _texts(
            table.where(item.place), [(name, str(cell)[:_LONGEST]) for name, cell in item.value.items()]
        )
        for item in table.sample
    ]


def _tried(table: "Table", mapping: "ColumnMapping") -> list[Content]:
    """Show what rows become, and what the check of the data will say of them."""
    from engine.dataset.convert.records import Rejected
    from engine.dataset.convert.try_rows import try_rows

    tried = try_rows(table, mapping)
    rows = [
        _refused(table, item) if isinstance(item, Rejected) else _texts(table.where(item[0]), _parts(item[1]))
        for item in tried.rows
    ]
    return rows + _doubtful(table, tried.tally.doubts)


def _parts(row: dict[str, Any]) -> list[tuple[str, str]]:
    if "messages" in row:
        return [(turn["role"], turn["content"]) for turn in row["messages"]]
    return list(row.items())


def _texts(where: str, parts: list[tuple[str, str]]) -> Content:
    lines = [Content.styled(where, "$muted")]
    for name, text in parts:
        lines.append(Content.assemble((f"  {one_line(name, 40)}  ", "$accent"), one_line(text, _LONGEST)))
    return Content("\n").join(lines)


def _refused(table: "Table", row: "Rejected") -> Content:
    mark = ("· ", "$muted") if row.is_wanted else ("✗ ", "bold $error")
    return Content.assemble(
        (f"{table.where(row.place)}  ", "$muted"),
        mark,
        one_line(row.reason, 200),
        (f" ({complete(one_line(row.fix, 200), table.source.path)})", "$muted"),
    )


def _doubtful(table: "Table", doubts: "Sequence[Doubt]") -> list[Content]:
    return [
        Content.assemble(
            (f"{doubt.where(table)}  ", "$muted"),
            ("! ", "bold $warning"),
            one_line(doubt.message, 200),
            (f" ({one_line(doubt.fix, 200)})", "$muted"),
        )
        for doubt in doubts
    ]
