"""The commands of the command line about base models; `tui.cli.main` registers them."""

from typing import Annotated

from engine.errors import WrongUsage
from engine.i18n import _
from engine.project import Project
from tui.cli.data_commands import Json

import typer

Name = Annotated[str, typer.Option("--name", help=_("Name of its folder in models/, in place of its own."))]


def models(context: typer.Context, json: Json = False) -> None:
    """List the base models in models/ and those that other programs have on this machine."""
    from tui.cli.models import show_models

    show_models(context.obj, json)


def get(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar=_("NAME"),
            help=_("ORGANISATION/NAME of the hub, or with @REVISION; a folder; a GGUF file."),
        ),
    ] = "",
    name: Name = "",
    link: Annotated[
        bool, typer.Option("--link", help=_("Link the files of a folder and do not copy them."))
    ] = False,
    json: Json = False,
) -> None:
    """Bring a base model into models/, or go on with it; without a name: show some to choose from."""
    from tui.cli.models import get as get_it
    from tui.cli.models import show_shortlist

    project: Project = context.obj
    if model:
        get_it(project, model, name, link, json)
    elif name or link:
        raise WrongUsage(
            _("--name and --link are about a model, and none is named"),
            _("name one; see which are offered with: mqlora-tui get"),
        )
    else:
        show_shortlist(project, json)


def convert(
    context: typer.Context,
    folder: Annotated[
        str, typer.Argument(metavar=_("FOLDER"), help=_("Folder of a model with full-precision weights."))
    ],
    bits: Annotated[int, typer.Option(help=_("Bits of a weight: 4 or 8."))] = 4,
    group_size: Annotated[int, typer.Option(help=_("Weights that share a scale: 32, 64 or 128."))] = 64,
    name: Name = "",
    json: Json = False,
) -> None:
    """Quantise the weights of a model into a new folder in models/; the given one stays as it is."""
    from tui.cli.models import convert as convert_it

    convert_it(context.obj, folder, bits, group_size, name, json)
