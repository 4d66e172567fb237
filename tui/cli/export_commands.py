"""The options of `export`; `tui.cli.main` registers it."""

from pathlib import Path
from typing import Annotated, cast

from engine.errors import WrongUsage
from engine.export.targets import BITS, TARGETS, Bits, ExportRequest, Target
from engine.i18n import _
from engine.sanitize import one_line
from tui.cli.data_commands import Json

import typer


def _widths() -> str:
    """Return which widths each program's files can have, for people."""
    programs: dict[tuple[int, ...], list[str]] = {}
    for target in TARGETS:
        programs.setdefault(BITS[target], []).append(target)
    return "; ".join(
        f"{', '.join(map(str, widths))} ({', '.join(names)})" for widths, names in programs.items() if widths
    )


def export(
    context: typer.Context,
    to: Annotated[
        str, typer.Option("--to", metavar="|".join(TARGETS), help=_("The program it is for."))
    ] = "",
    bits: Annotated[
        int | None,
        typer.Option(
            help=_("Merge base and adapter, with so many bits a weight: {widths}.").format(widths=_widths())
        ),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(help=_("A checkpoint's name, in place of the best adapter."))
    ] = "",
    adapter: Annotated[
        Path | None, typer.Option(help=_("Folder of another adapter, of mlx-lm's form or PEFT's."))
    ] = None,
    out: Annotated[Path | None, typer.Option(help=_("Folder to make, in place of one in exports/."))] = None,
    base_name: Annotated[
        str, typer.Option("--base-name", help=_("The base model's name on the hub, for --to peft."))
    ] = "",
    compare: Annotated[
        bool, typer.Option("--compare", help=_("Keep no files: show what each form keeps of the gain."))
    ] = False,
    json: Json = False,
) -> None:
    """Write the trained adapter for another program, and score what was written."""
    from tui.cli.export import compare as compare_forms
    from tui.cli.export import export as export_one

    if compare:
        if to or bits is not None or out or base_name:
            raise WrongUsage(
                _("--compare tries every form and keeps none"),
                _("leave --to, --bits, --out, --base-name out"),
            )
        request = ExportRequest("gguf", None, checkpoint, adapter)
        compare_forms(context.obj, request, json)
        return
    request = ExportRequest(
        _target(to), cast(Bits | None, bits), checkpoint, adapter, out and out.expanduser(), base_name
    )
    export_one(context.obj, request, json)


def _target(name: str) -> Target:
    """Return the program that is named.

    Raises:
        WrongUsage: none is, or none that can be written for.
    """
    if name in TARGETS:
        return name
    raise WrongUsage(
        _("--to names no program that can be written for: '{name}'").format(name=one_line(name, 40))
        if name
        else _("No program is named to write for"),
        _("choose one with --to: {names}").format(names=", ".join(TARGETS)),
    )
