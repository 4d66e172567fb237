"""The command that imports the rows of another file."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

from engine import units
from engine.dataset.convert.column_mapping import ColumnMapping
from engine.dataset.convert.detect_columns import choose
from engine.dataset.convert.import_table import ImportOptions, ImportStage, import_rows
from engine.dataset.convert.imported import Doubt, Imported
from engine.dataset.convert.records import Rejected
from engine.dataset.convert.tables import SAMPLE, Table, open_table
from engine.dataset.convert.try_rows import try_rows
from engine.dataset.jsonl.unused_fields import named
from engine.i18n import _, number
from engine.project import Project
from engine.sanitize import json_text, one_line
from tui.cli.in_place import say_how_to_use
from tui.console import err, print_json, quote, say
from tui.shell import complete

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
    skip_lines: int,
) -> tuple[Table, ColumnMapping]:
    """Return a file's table, and what its columns mean: as named, else as found.

    Raises:
        UserError: it cannot be read, or what its columns mean is not clear.
    """
    table = open_table(file, has_header, skip_lines)
    return table, choose(table, "".join(prompts[:1]), completion, system, text, answer, prompts[1:])


def show_first(table: Table, mapping: ColumnMapping, as_json: bool) -> int:
    """Say how a table is read, and print what its first rows become; return 1 if none can be used."""
    tried = try_rows(table, mapping)
    code = 0 if tried.usable else 1
    if as_json:
        rows = [_as_json_row(item) for item in tried.rows[:_SHOWN]]
        seen = {"rows": len(tried.rows), "usable": tried.usable, "left_out": tried.left_out}
        doubts = [asdict(doubt) for doubt in tried.tally.doubts]
        values = {"rows": rows, "seen": seen, "doubts": doubts, "not_used": dict(tried.tally.not_used.counts)}
        print_json(_described(table, mapping) | values)
        return code
    _say_how(table, mapping)
    for item in tried.rows[:_SHOWN]:
        shown = _as_json_row(item)
        text = json_text(_cut(shown["row"])) if "row" in shown else shown["reason"]
        quote(f"  {table.where(shown['place'])}: {text}")
    if fields := tried.tally.not_used.counts:
        text = _("  · fields that are not used, and in how many of the first {rows}: {names}")
        say(text.format(rows=units.rows(len(tried.rows)), names=named(fields)))
    _say_doubts(table, tried.tally.doubts)
    _say_share(tried.usable, tried.rejected, tried.left_out, is_all=len(tried.rows) < SAMPLE)
    return code


def _as_json_row(item: tuple[int, dict[str, Any]] | Rejected) -> dict[str, Any]:
    """Return what a row becomes, or why it is rejected."""
    return asdict(item) if isinstance(item, Rejected) else {"place": item[0], "row": item[1]}


def _cut(value: Any) -> Any:
    """Return what a row holds with each text cut to what people read."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return {name: _cut(item) for name, item in value.items()} if isinstance(value, dict) else value


def _say_share(usable: int, rejected: int, left_out: int, is_all: bool = True) -> None:
    """Say how many rows can be used: the exit code is 0 as long as one can.

    Args:
        usable: rows.
        rejected: rows that cannot be used.
        left_out: rows that ask not to be learned.
        is_all: whether these are all rows of the file, and not the first only.
    """
    if rejected > usable + left_out:
        text = _(
            "  ! most rows cannot be used: {rejected} of {rows}; see that the columns are read as you mean"
        )
    elif is_all:
        text = _("  {usable} of {rows} can be used")
    else:
        text = _("  {usable} of the first {rows} can be used")
    rows = units.rows(usable + rejected + left_out)
    text = text.format(usable=number(usable), rejected=number(rejected), rows=rows)
    say(text + (_("; {count} left out on request").format(count=number(left_out)) if left_out else ""))


def import_table(
    project: Project, table: Table, mapping: ColumnMapping, options: ImportOptions, as_json: bool
) -> None:
    """Import the rows of a table and say what was written and what was not."""
    if as_json:
        imported = import_rows(project, table, mapping, options, lambda _stage, _count: None, Event())
        figures = {"rejected": imported.rejected, "left_out": imported.left_out}
        print_json(_described(table, mapping) | asdict(imported) | figures)
        return
    _say_how(table, mapping)
    with err.status("") as status:

        def on_progress(stage: ImportStage, count: int) -> None:
            text = _("{rows} read …") if stage == "read" else _("{rows} written …")
            status.update(text.format(rows=units.rows(count)))

        imported = import_rows(project, table, mapping, options, on_progress, Event())
    _say_rejected(table, imported)
    if imported.note:
        say(f"  · {imported.note}")
    _say_doubts(table, imported.doubts)
    if imported.kinds:
        _say_share(imported.train + imported.valid, imported.rejected, imported.left_out)
    say(f"✓ {one_line(str(imported.folder), 300)}: {imported.words}")
    if imported.folder != project.data_dir:
        say_how_to_use(imported.folder)


def _described(table: Table, mapping: ColumnMapping) -> dict[str, Any]:
    """Return how a table is read, for JSON."""
    return {
        "file": str(table.source.path),
        "format": table.source.format,
        "delimiter": table.source.delimiter,
        "gzip": table.source.is_gzip,
        "columns": table.columns,
        "mapping": asdict(mapping),
    }


def _say_how(table: Table, mapping: ColumnMapping) -> None:
    say(f"{one_line(str(table.source.path), 300)}: {table.source.words}")
    say(f"  {mapping.words(table.columns)}")


def _say_rejected(table: Table, imported: Imported) -> None:
    for row in imported.listed[:_LISTED]:
        fix = complete(one_line(row.fix, 200), table.source.path)
        text = _("  · {where}: {reason}") if row.is_wanted else _("  ! {where}: {reason} ({fix})")
        reason = one_line(row.reason, 200)
        quote(text.format(where=table.where(row.place), reason=reason, fix=fix))
    if (more := sum(imported.kinds.values()) - _LISTED) > 0:
        say(_("  … and {n} more").format(n=number(more)))


def _say_doubts(table: Table, doubts: Sequence[Doubt]) -> None:
    """Say what the check of the data will warn of."""
    for doubt in doubts:
        text = _("  ! {where}: {reason} ({fix})")
        quote(text.format(where=doubt.where(table), reason=doubt.message, fix=doubt.fix))
