"""The command line: every command of mqlora-tui, each a few lines on top of the engine."""

import inspect
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from engine.errors import WrongUsage
from engine.i18n import _
from engine.i18n.languages import VARIABLE
from tui.cli.data_commands import Json, clean, import_file, undo, use, validate
from tui.cli.eval_commands import evaluate
from tui.cli.export_commands import export
from tui.cli.hosts_commands import hosts
from tui.cli.library_texts import Command, Group, retold
from tui.cli.model_commands import convert, get, models
from tui.cli.open_app import open_project, run_app_in_terminal
from tui.cli.outcome import exit_code_of
from tui.cli.result_commands import chat, history, plot, report, reproduce, serve
from tui.cli.train_commands import HalfMicroBatch, fit, monitor, train, verify_resume
from tui.cli.tune_commands import tune
from tui.console import refuse_usage

import typer

app = typer.Typer(
    name="mqlora-tui",
    cls=Group,
    help=_("Fine-tune a language model on your own Mac, from the terminal."),
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> int:
    """Run the command line and return its exit code. No mistake of a user ends in a traceback."""
    return exit_code_of(_run)


def _run() -> int:
    """Let Typer run the command line, and return its exit code."""
    try:
        code = app(standalone_mode=False, prog_name="mqlora-tui")
    except typer.Exit as leave:
        return leave.exit_code
    except Exception as error:
        show = getattr(error, "show", None)  # usage errors of typer know how to show themselves
        if show is None:
            raise
        explain = getattr(error, "format_message", error.__str__)
        refuse_usage(show, explain(), retold)
        return int(getattr(error, "exit_code", 2))
    return code if isinstance(code, int) else 0


def _command(function: Callable[..., Any], name: str | None = None, hidden: bool = False) -> None:
    """Register a command under its function's name or another; its help is the docstring, translated."""
    app.command(name, cls=Command, help=_(inspect.getdoc(function) or ""), hidden=hidden)(function)


def _commands(*functions: Callable[..., Any]) -> None:
    for function in functions:
        _command(function)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mqlora-tui {version('mqlora-tui')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def open_app(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help=_("Say which version this is.")
        ),
    ] = False,
    directory: Annotated[
        Path,
        typer.Option("-C", "--directory", help=_("Project directory."), show_default=_("the current one")),
    ] = Path(),
    go_on: Annotated[
        bool, typer.Option("--go-on", help=_("Open the app and go on with the unfinished run at once."))
    ] = False,
    half_micro_batch: HalfMicroBatch = False,
    lang: Annotated[  # `tui.respawn` has read it before any text was made
        Literal["en", "pt"] | None,
        typer.Option(
            envvar=VARIABLE, help=_("Language of what is said."), show_default=_("that of the system")
        ),
    ] = None,
) -> int:
    """Without a command: open the app."""
    context.obj = open_project(directory)
    if context.invoked_subcommand:
        if go_on or half_micro_batch:
            raise WrongUsage(
                _("--go-on and --half-micro-batch before a command are options of the app"),
                _("write: mqlora-tui train --half-micro-batch"),
            )
        return 0
    raise typer.Exit(run_app_in_terminal(context.obj, go_on, half_micro_batch))


def demo(context: typer.Context, json: Json = False) -> None:
    """Write the built-in model and the sample data; what is there already stays."""
    from tui.cli.reports import write_demo

    write_demo(context.obj, json)


def check(context: typer.Context, json: Json = False) -> None:
    """Look at this machine: can it train, and if not, what is to be done?"""
    from tui.cli.reports import show_hardware

    raise typer.Exit(show_hardware(context.obj, json))


def selftest(
    context: typer.Context,
    model: Annotated[
        str, typer.Option(help=_("One of this project's base models in place of the built-in one."))
    ] = "",
    json: Json = False,
) -> None:
    """Try in about three minutes what this machine can do; ends with a text for a bug report."""
    from tui.cli.selftest import try_machine

    raise typer.Exit(try_machine(context.obj, model, json))


def profiles(context: typer.Context, json: Json = False) -> None:
    """Show the three profiles, the recommended one and why."""
    from tui.cli.reports import show_profiles

    show_profiles(context.obj, json)


_commands(demo, check, selftest, profiles, models, get, convert, fit, validate, clean)
_command(clean, "mend", hidden=True)  # what scripts may call it
_command(import_file, "import")
_commands(use, undo, train)
_command(verify_resume, "verify-resume")
app.add_typer(hosts)
_command(evaluate, "eval")
_commands(tune)
_commands(export, monitor, plot, chat, report, history, serve, reproduce)
