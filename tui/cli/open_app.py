"""Opening the app, which a command line that asks for nothing else does without Typer: it takes 60 ms."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.errors import UserError
from engine.files import clear_partial
from engine.i18n import _
from engine.i18n.languages import LOCALES, VARIABLE
from engine.project import Project
from tui.shell import work_in

_GO_ON, _HALF = "--go-on", "--half-micro-batch"


class AppOptions(NamedTuple):
    """What may be said about the app on the command line."""

    directory: Path = Path()
    go_on: bool = False
    """Resume the unfinished run at once."""
    half_micro_batch: bool = False
    """Do that with micro-batches of half the size."""


def app_options(arguments: Sequence[str]) -> AppOptions | None:
    """Return what arguments say that only open the app; None for all others, which Typer reads or refuses.

    Args:
        arguments: after the name of the program; `tui.respawn` has taken the language out of them.
    """
    if os.environ.get(VARIABLE, "") not in ("", *LOCALES):
        return None
    directory, flags, rest = Path(), set[str](), iter(arguments)
    for argument in rest:
        if argument in (_GO_ON, _HALF):
            flags.add(argument)
            continue
        value = next(rest, "-")
        if argument in ("-C", "--directory") and not value.startswith("-"):
            directory = Path(value)
        elif argument != "--lang" or value not in LOCALES:
            return None
    return AppOptions(directory, _GO_ON in flags, _HALF in flags)


def open_project(directory: Path) -> Project:
    """Return the project of a folder, without what unfinished writing has left there.

    Raises:
        UserError: there is no such folder.
    """
    if not os.path.isdir(directory):  # also takes a name that no folder can have
        if os.path.lexists(directory):
            raise UserError(_("{path} is no folder").format(path=directory), _("name a folder with -C"))
        raise UserError(
            _("There is no folder {folder}").format(folder=directory), _("create it or name another with -C")
        )
    project = Project(directory.resolve())
    work_in(project)
    folders = project.root, project.data_dir, project.models_dir, project.exports_dir, project.archive_dir
    for folder in folders:
        clear_partial(folder)
    return project


def run_app_in_terminal(project: Project, go_on: bool, half_micro_batch: bool) -> int:
    """Open the app and return its exit code.

    Args:
        project: the project directory.
        go_on: resume the unfinished run at once.
        half_micro_batch: do that with micro-batches of half the size.

    Raises:
        UserError: this is no terminal, or none that can show it.
    """
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        raise UserError(_("The app needs a terminal"), _("without one use: mqlora-tui train"))
    if os.environ.get("TERM") == "dumb":
        raise UserError(
            _("The app needs a terminal whose cursor can be placed, and TERM says that this is none (dumb)"),
            _("name yours, such as: export TERM=xterm-256color; or use: mqlora-tui train"),
        )
    from tui.app.run import run_app

    return run_app(project, go_on, half_micro_batch)


def open_app(options: AppOptions) -> int:
    """Open the app as the command line says, and return its exit code.

    Raises:
        UserError: there is no such folder, or no terminal that can show it.
    """
    return run_app_in_terminal(open_project(options.directory), options.go_on, options.half_micro_batch)
