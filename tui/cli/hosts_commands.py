"""The commands about machines that train together; `tui.cli.main` registers them."""

import inspect
from pathlib import Path
from typing import Annotated

from engine.i18n import _
from tui.cli.data_commands import Json
from tui.cli.library_texts import Command, Group
from tui.cli.train_commands import Assignments, ConfigFile, Profile

import typer

hosts = typer.Typer(name="hosts", cls=Group, help=_("Machines that train together."))


def check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar=_("FILE"), help=_("A host file, see docs/cluster.md."))],
    profile: Profile = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    save: Annotated[
        bool, typer.Option("--save", help=_("Write measured speed and network into the file."))
    ] = False,
    json: Json = False,
) -> None:
    """Ask each host whether it can take part, measure network and speed, and predict the speed-up."""
    from tui.cli.choose_config import chosen_config
    from tui.cli.hosts import check as check_them

    raise typer.Exit(
        check_them(
            context.obj,
            lambda: chosen_config(context.obj, profile, config, assignments or []),
            file,
            save,
            json,
        )
    )


hosts.command("check", cls=Command, help=_(inspect.getdoc(check) or ""))(check)
