"""An option or argument that is given an empty text is not one that was left out."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from engine.errors import WrongUsage
from engine.i18n import _

_TELL_THEMSELVES = ("--set", "--learning-rates")
"""Options that say more about what they lack."""


def refuse_empty(options: Sequence[Any], words: Sequence[str]) -> None:
    """Refuse an empty text, as `--out ""` or `--out=`: a shell's variable that is not set leaves one.

    It would count as none, or as the current folder where a path is wanted.

    Args:
        options: of a command, its arguments too.
        words: of the command line, behind the command's name.

    Raises:
        WrongUsage: with the option or the argument.
    """
    of_name = {name: option for option in options for name in option.opts if name.startswith("-")}
    arguments = [option for option in options if option.param_type_name == "argument"]
    for before, word in pairwise(["", *words]):
        name = _name_of_empty(before, word)
        if name is None or name in _TELL_THEMSELVES:
            continue
        if name in of_name:
            raise _empty(of_name[name], max(of_name[name].opts, key=len))
        if word == "" and arguments:
            raise _empty(arguments[0], arguments[0].metavar)


def _name_of_empty(before: str, word: str) -> str | None:
    """Return what stands before an empty text, perhaps its option; None where no text is empty."""
    if word.startswith("--") and word.endswith("="):
        return word[:-1]
    return before if word == "" else None


def _empty(option: Any, name: str) -> WrongUsage:
    return WrongUsage(
        _("{option} is given without a value").format(option=name),
        _("write one") if option.required else _("write one, or leave it out"),
    )
