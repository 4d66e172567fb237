"""The command that imports the rows of another file."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

from engine import counts
from engine.dataset.detecting import choose
from engine.dataset.imported import Imported
from engine.dataset.importing import Stage, Wish, import_rows, written_row
from engine.dataset.mapping import Mapping
from engine.dataset.parsing import RowError
from engine.dataset.records import Record, Rejected
from engine.dataset.tables import Table, open_table
from engine.dataset.unused import NotUsed, named
from engine.i18n import _
from engine.project import Project
from engine.text import json_text, one_line
from tui.commands.output import err, print_json, quote, say
from tui.shell import complete

import msgspec

_LISTED = 20
_SHOWN = 3
"""Rows that a dry run shows."""
_LONGEST = 400
"""Characters of each text that it shows."""


def looked_into(
    file: Path,
    prompts: Sequence[str],
    completion: str,
    system: str,
    text: str,
    answer: str,
    has_header: bool,
) -> tuple[Table, Mapping]:
    """Return a file's table, and what its columns mean: as named, else as found.

    Raises:
        UserError: it cannot be read, or what its columns mean is not clear.
    """
    table = open_table(file, has_header)
    return table, choose(table, "".join(prompts[:1]), completion, system, text, answer, prompts[1:])


def show_first(table: Table, mapping: Mapping, as_json: bool) -> int:
    """Say how a table is read, and print what its first rows become; return 1 if none can be used."""
    not_used = NotUsed()
    rows = [_become(item, mapping, not_used) for item in table.sample]
    rejected = sum("row" not in row for row in rows)
    code = 0 if rejected < len(rows) else 1
    if as_json:
        described = _described(table, mapping)
        print_json(described | {"rows": rows[:_SHOWN], "not_used": dict(not_used.counts)})
        return code
    _say_how(table, mapping)
    for row in rows[:_SHOWN]:
        shown = json_text(_cut(row["row"])) if "row" in row else row["reason"]
        quote(f"  {table.where(row['place'])}: {shown}")
    if not_used.counts:
        text = _("  · fields that are not used, and in how many of the first {rows}: {names}")
        say(text.format(rows=counts.rows(len(rows)), names=named(not_used.counts)))
    _say_most_rejected(rejected, len(rows))
    return code


def _cut(value: Any) -> Any:
    """Return what a row holds with each text cut to what people read."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return {name: _cut(item) for name, item in value.items()} if isinstance(value, dict) else value


def _say_most_rejected(rejected: int, rows: int) -> None:
    """Say that most rows cannot be used, where it is so: the exit code is 0 as long as one can."""
    if rejected * 2 > rows:
        text = _(
            "  ! most rows cannot be used: {rejected} of {rows}; see that the columns are read as you mean"
        )
        say(text.format(rejected=f"{rejected:,}", rows=f"{rows:,}"))


def import_table(project: Project, table: Table, mapping: Mapping, wish: Wish, as_json: bool) -> None:
    """Import the rows of a table and say what was written and what was not."""
    if as_json:
        imported = import_rows(project, table, mapping, wish, lambda _stage, _count: None, Event())
        print_json(_described(table, mapping) | asdict(imported) | {"rejected": imported.rejected})
        return
    _say_how(table, mapping)
    with err.status("") as status:

        def tell(stage: Stage, count: int) -> None:
            text = _("{rows} read …") if stage == "read" else _("{rows} written …")
            status.update(text.format(rows=counts.rows(count)))

        imported = import_rows(project, table, mapping, wish, tell, Event())
    _say_rejected(table, imported)
    if imported.note:
        say(f"  · {imported.note}")
    _say_most_rejected(imported.rejected, imported.rejected + imported.train + imported.valid)
    say(f"✓ {one_line(str(imported.folder), 300)}: {imported.words(project)}")


def _become(item: Record | Rejected, mapping: Mapping, not_used: NotUsed) -> dict[str, Any]:
    """Return what a row becomes, or why it is rejected."""
    if isinstance(item, Rejected):
        return asdict(item)
    try:
        line, _row = written_row(item, mapping, item.place, not_used)
    except RowError as error:
        return asdict(Rejected(item.place, error.kind, error.message, error.fix))
    return {"place": item.place, "row": msgspec.json.decode(line)}


def _described(table: Table, mapping: Mapping) -> dict[str, Any]:
    """Return how a table is read, for JSON."""
    return {
        "file": str(table.source.path),
        "format": table.source.format,
        "delimiter": table.source.delimiter,
        "gzip": table.source.is_gzip,
        "columns": table.columns,
        "mapping": asdict(mapping),
    }


def _say_how(table: Table, mapping: Mapping) -> None:
    say(f"{one_line(str(table.source.path), 300)}: {table.source.words}")
    say(f"  {mapping.words(table.columns)}")


def _say_rejected(table: Table, imported: Imported) -> None:
    for row in imported.listed[:_LISTED]:
        fix = complete(one_line(row.fix, 200), table.source.path)
        quote(
            _("  ! {where}: {reason} ({fix})").format(
                where=table.where(row.place), reason=one_line(row.reason, 200), fix=fix
            )
        )
    if imported.rejected > _LISTED:
        say(_("  … and {n} more").format(n=f"{imported.rejected - _LISTED:,}"))
