"""The commands of the command line that show and use what came of a run; `tui.cli.main` registers them."""

from pathlib import Path
from typing import Annotated

from engine.errors import WrongUsage
from engine.i18n import _
from tui.cli.data_commands import Json
from tui.cli.decimal_option import decimal_option
from tui.console import print_json, say

import typer


def plot(context: typer.Context, json: Json = False) -> None:
    """Write the two chart files."""
    from engine.analysis.charts import write_analysis, write_dashboard

    paths = [write_dashboard(context.obj), write_analysis(context.obj)]
    if json:
        print_json({"charts": [str(path) for path in paths]})
    else:
        for path in paths:
            say(f"✓ {path}")


def chat(
    context: typer.Context,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help=_("A question; may be repeated. Without it: a conversation.")),
    ] = None,
    base: Annotated[bool, typer.Option("--base", help=_("Answer without the adapter."))] = False,
    adapter: Annotated[
        Path | None,
        typer.Option(
            metavar=_("FOLDER"), help=_("Another adapter than the run's, of mlx-lm's form or PEFT's.")
        ),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help=_("Longest reply, in tokens."))] = 256,
    temperature: Annotated[
        float, decimal_option("--temperature", 0.0, 5.0, _("0 takes the likeliest token."))
    ] = 0.0,
    seed: Annotated[
        int | None, typer.Option(min=0, max=(1 << 32) - 1, help=_("Of the draws; without it each is new."))
    ] = None,
    json: Json = False,
) -> None:
    """Talk to the trained model."""
    from engine.chat import ChatSettings
    from tui.cli.chat import Answering, converse, reply_to_each

    if json and not prompt:
        raise WrongUsage(_("--json answers questions"), _("name one with --prompt"))
    if base and adapter:
        raise WrongUsage(_("--base and --adapter were both given"), _("give one of them"))
    settings, who = ChatSettings(max_tokens, temperature, seed), Answering(not base, adapter)
    if prompt:
        code = reply_to_each(context.obj, prompt, settings, who, as_json=json)
    else:
        code = converse(context.obj, settings, who)
    raise typer.Exit(code)


def report(
    context: typer.Context,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            help=_("Also write it to hand on: report.html with its charts inside, report.md and SVG files."),
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Say how the run went and what to do next."""
    from tui.cli.reports import show_report

    show_report(context.obj, save, json)


def history(context: typer.Context, json: Json = False) -> None:
    """List the present run and the archived ones, with the settings in which they differ."""
    from tui.cli.history import show_history

    show_history(context.obj, json)


def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=1, max=65535, help=_("Where to listen on 127.0.0.1."))] = 8080,
    adapter: Annotated[
        Path | None,
        typer.Option(help=_("Folder of an adapter."), show_default=_("the best one of the run")),
    ] = None,
    base: Annotated[bool, typer.Option("--base", help=_("Serve the base model without an adapter."))] = False,
    json: Json = False,
) -> None:
    """Let other programs on this machine talk to the trained model, as to OpenAI's interface."""
    from tui.cli.serve import serve as serve_model

    if adapter and base:
        raise WrongUsage(_("--adapter and --base exclude each other"), _("name one of the two"))
    raise typer.Exit(serve_model(context.obj, port, adapter, with_adapter=not base, as_json=json))


def reproduce(
    context: typer.Context,
    receipt: Annotated[
        Path, typer.Argument(metavar=_("FILE"), help=_("The receipt.json of a finished run."))
    ],
    yes: Annotated[bool, typer.Option("--yes", help=_("Train without asking."))] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help=_("Train nothing: compare the finished run that is here."))
    ] = False,
    json: Json = False,
) -> None:
    """Make the run of a receipt again and say whether it came out the same; exit 1 if not."""
    from tui.cli.receipt import reproduce as make_again

    raise typer.Exit(make_again(context.obj, receipt, yes, compare, json))
