"""Typer's own words in the user's language: what it asks gettext for, and its English sentences."""

import re
from typing import Any

from engine.i18n import N_, _
from tui.cli.empty_values import refuse_empty

from typer.core import TyperCommand, TyperGroup

_THROUGH_GETTEXT = (
    N_("Arguments"),
    N_("Options"),
    N_("Commands"),
    N_("Error"),
    N_("[default: {}]"),
    N_("[env var: {}]"),
    N_("[required]"),
    N_("No such command {name!r}."),
)
_SENTENCES = (
    N_("Usage: {usage}"),
    N_("Try '{command}' for help."),
    N_("Error: {problem}"),
    N_("No such option: {name} (Possible options: {names})"),
    N_("No such option: {name}"),
    N_("Missing argument {name}."),
    N_("Missing option {name}."),
    N_("Option {name} requires an argument."),
    N_("Option {name} does not take a value."),
    N_("Got unexpected extra argument(s) ({names})"),
    N_("Invalid value for {name} (env var: {variable}): {problem}"),
    N_("Invalid value for {name}: {problem}"),
    N_("{value} is not one of {names}."),
    N_("Value {value} is not a valid {kind}."),
    N_("Input should be a valid integer, unable to parse string as an integer"),
    N_("Input should be greater than or equal to {least}"),
    N_("Input should be less than or equal to {most}"),
)
"""Of Typer, and of Pydantic by way of it; the first whose form a sentence has is the one."""
_PREFIX = "Value error, "
"""What Pydantic puts before a problem."""
_PLACEHOLDERS = N_("OPTIONS"), N_("COMMAND"), N_("ARGS")
_FIELD = re.compile(r"\\\{(\w+)\\\}")


def retold(sentence: str) -> str:
    """Return one of Typer's English sentences in the user's language; any other as it is."""
    sentence = sentence.removeprefix(_PREFIX)
    for english in _SENTENCES:
        form = _FIELD.sub(r"(?P<\1>.+?)", re.escape(english))
        if found := re.fullmatch(form, sentence):
            return _(english).format(**{name: retold(value) for name, value in found.groupdict().items()})
    return sentence


class _OwnWords:
    """What Typer writes without asking anybody."""

    def get_usage(self, ctx: Any) -> str:
        """Return the line that says how a command is written."""
        usage = retold(super().get_usage(ctx))  # type: ignore[misc]
        return re.sub("|".join(_PLACEHOLDERS), lambda word: _(word[0]), usage)

    def get_params(self, ctx: Any) -> Any:
        """Return the options; one that takes no value is not shown to take a <bool>."""
        found = super().get_params(ctx)  # type: ignore[misc]
        for option in found:
            if getattr(option, "is_flag", False) and option.metavar is None:
                option.metavar = ""
        return found

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a command.

        Raises:
            WrongUsage: an option or argument is empty, see `refuse_empty`.
        """
        given = list(args)  # what is read is taken out of `args`
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        refuse_empty(self.params, given)  # type: ignore[attr-defined]
        return rest

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option that shows the help."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = _("Show this message and exit.")
        return option


class Command(_OwnWords, TyperCommand):
    """A command."""


class Group(_OwnWords, TyperGroup):
    """The program, with its commands."""
