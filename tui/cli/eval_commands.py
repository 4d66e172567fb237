"""The options of `eval`; `tui.cli.main` registers it."""

from pathlib import Path
from typing import Annotated

from engine.errors import WrongUsage
from engine.i18n import _
from tui.cli.data_commands import Json

import typer

_ANSWERED = 10
"""`engine.evaluation.request.ANSWERED`, which is not imported only to show the options."""
_MOST_ANSWERED = 10_000


def evaluate(
    context: typer.Context,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar=_("NAME"),
            help=_("A checkpoint's name, in place of best and last; may be repeated."),
        ),
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(metavar=_("FOLDER"), help=_("Folder of another adapter, of mlx-lm's form or PEFT's.")),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar=_("FILE"),
            help=_("Rows to evaluate on."),
            show_default=_("data/test.jsonl, else data/valid.jsonl"),
        ),
    ] = None,
    answers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_ANSWERED,
            help=_("Rows that each model answers; each answer takes as long as one in the chat."),
            show_default=str(_ANSWERED),
        ),
    ] = None,
    no_answers: Annotated[
        bool, typer.Option("--no-answers", help=_("Answer no rows: the losses only."))
    ] = False,
    json: Json = False,
) -> None:
    """Say whether the adapter is better than its base model beyond chance, how it answers, what it forgot."""
    from engine.evaluation.request import EvaluationRequest
    from tui.cli.eval import evaluate as evaluate_now

    if no_answers and answers is not None:
        raise WrongUsage(_("--answers and --no-answers exclude each other"), _("leave one of them out"))
    count = 0 if no_answers else _ANSWERED if answers is None else answers
    request = EvaluationRequest(tuple(checkpoint or ()), adapter, file, count)
    raise typer.Exit(evaluate_now(context.obj, request, json))
