"""The commands of the command line that read and write data; `tui.cli.main` registers them."""

from pathlib import Path
from typing import Annotated

from engine.i18n import _
from tui.cli.decimal_option import decimal_option

import typer

Json = Annotated[bool, typer.Option("--json", help=_("Print JSON."))]
_COLUMN = _("COLUMN")


def validate(
    context: typer.Context,
    strict: Annotated[
        bool, typer.Option("--strict", help=_("Exit 1 for any error or warning too, for scripts and CI."))
    ] = False,
    json: Json = False,
) -> None:
    """Check the data; exit 1 if it cannot be trained on."""
    from tui.cli.validate import show_data

    raise typer.Exit(show_data(context.obj, json, strict))


def clean(
    context: typer.Context,
    seed: Annotated[
        int, typer.Option(min=0, help=_("Draws the rows that are set apart, and the order."))
    ] = 0,
    shuffle: Annotated[bool, typer.Option("--shuffle", help=_("Write the rows in random order."))] = False,
    json: Json = False,
) -> None:
    """Write a cleaned copy of the data to a new folder beside it, with a list of what changed and why."""
    from tui.cli.clean import clean_copy

    clean_copy(context.obj, seed, shuffle, json)


def use(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(metavar=_("FOLDER"), help=_("As clean and import write it, such as data/mended.")),
    ],
    json: Json = False,
) -> None:
    """Put the rows of a folder in the place of the data; what was there stays in data/backup-N."""
    from tui.cli.in_place import use as use_rows

    use_rows(context.obj, folder, json)


def undo(context: typer.Context, json: Json = False) -> None:
    """Take the last change of the data back, and again the one before; the files are those of then."""
    from tui.cli.in_place import undo as undo_change

    undo_change(context.obj, json)


ValidShare = Annotated[
    float, decimal_option("--valid-share", 0.0, 0.9, _("Share of the rows to validate with; 0 for none."))
]


def import_file(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar=_("FILE"), help=_("CSV, TSV, JSON, JSON Lines (also gzip) or Parquet."))
    ],
    prompt: Annotated[
        list[str] | None,
        typer.Option(metavar=_COLUMN, help=_("Column with the prompt; given again, one that goes below it.")),
    ] = None,
    completion: Annotated[str, typer.Option(metavar=_COLUMN, help=_("Column with the completion."))] = "",
    system: Annotated[
        str, typer.Option(metavar=_COLUMN, help=_("Column with instructions for the assistant."))
    ] = "",
    text: Annotated[
        str, typer.Option(metavar=_COLUMN, help=_("Column with plain text, instead of the others."))
    ] = "",
    answer: Annotated[
        str,
        typer.Option(metavar=_COLUMN, help=_("Column with the answers to learn, where rows have several.")),
    ] = "",
    header: Annotated[
        bool, typer.Option(help=_("The first line of a CSV names its columns, or not."))
    ] = True,
    skip_lines: Annotated[
        int,
        typer.Option(min=0, help=_("First lines of a CSV to pass over, such as a title above the names.")),
    ] = 0,
    valid_share: ValidShare = 0.1,
    shuffle: Annotated[bool, typer.Option(help=_("Write the rows in random order, or in theirs."))] = True,
    seed: Annotated[int, typer.Option(min=0, help=_("Draws the order, and the rows to validate with."))] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=_("Show what the first rows become; write nothing."))
    ] = False,
    json: Json = False,
) -> None:
    """Write the rows of a table in any usual form as data to train on; list those that cannot be used."""
    from engine.dataset.convert.import_table import ImportOptions
    from tui.cli.import_table import import_table, looked_into, show_first

    table, mapping = looked_into(file, prompt or (), completion, system, text, answer, header, skip_lines)
    if dry_run:
        raise typer.Exit(show_first(table, mapping, json))
    import_table(context.obj, table, mapping, ImportOptions(valid_share, shuffle, seed), json)
