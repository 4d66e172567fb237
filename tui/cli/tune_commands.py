"""The options of `tune`; `tui.cli.main` registers it."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from engine.errors import WrongUsage
from engine.i18n import _
from engine.sanitize import one_line
from tui.cli.data_commands import Json
from tui.cli.train_commands import Assignments, ConfigFile, Profile

import typer

Number = TypeVar("Number", int, float)


def tune(
    context: typer.Context,
    profile: Profile = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    learning_rates: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help=_("Learning rates to try."),
            show_default=_("three around the rule of thumb"),
        ),
    ] = None,
    ranks: Annotated[str | None, typer.Option(metavar="N,N", help=_("Ranks of the adapter to try."))] = None,
    epochs: Annotated[str | None, typer.Option(metavar="N,N", help=_("Numbers of epochs to try."))] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help=_("Begin anew; runs made so far stay in the history."))
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help=_("Choose the best settings at the end, if they are better."))
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help=_("Do not ask before it begins."))] = False,
    json: Json = False,
) -> None:
    """Find out which learning rate is best: short runs, of which the better half goes on to the end."""
    from engine.tuning.prepare import Values
    from tui.cli.choose_config import chosen_config
    from tui.cli.tune import Wanted, tune_settings

    names_settings = bool(profile or config or assignments)
    chosen = chosen_config(context.obj, profile, config, assignments or ())
    wanted = Wanted(
        values=Values(
            rates=tuple(_numbers(learning_rates, float, "--learning-rates")),
            ranks=tuple(_numbers(ranks, int, "--ranks")),
            epochs=tuple(_numbers(epochs, int, "--epochs")),
        ),
        names_settings=names_settings,
        is_restarted=restart,
        is_applied=apply,
        is_agreed=yes,
        as_json=json,
    )
    raise typer.Exit(tune_settings(context.obj, chosen, wanted))


def _numbers(text: str | None, kind: Callable[[str], Number], option: str) -> list[Number]:
    """Return the numbers of a list with commas.

    Raises:
        WrongUsage: one is none.
    """
    try:
        return [] if text is None else [kind(part) for part in text.split(",")]
    except ValueError:
        problem = _("{option} takes numbers with commas between them, and was given '{text}'")
        if kind is int:
            problem = _("{option} takes whole numbers with commas between them, and was given '{text}'")
        raise WrongUsage(
            problem.format(option=option, text=one_line(text or "", 80)),
            _("write for example: {example}").format(
                example=f"{option} {'1e-4,3e-4' if kind is float else '4,8'}"
            ),
        ) from None
