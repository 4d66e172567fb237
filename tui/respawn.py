"""Starting this program again as a child: what its command line says, and how a child knows that it is one.

Only the standard library is imported, so that it starts at once.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.i18n.languages import VARIABLE

SUPERVISED = "MQLORA_GUARDED"
"""Environment variable of a process that has a supervisor, or shall have none."""
_WITH_VALUE = {"-C": "directory", "--directory": "directory", "--lang": "language"}


def peek(arguments: Sequence[str]) -> tuple[Path, str | None]:
    """Return the project directory and the command that `arguments` name, None for the app."""
    said = dict(_before_command(arguments))
    return Path(said.get("directory", "")), said.get("command")


def choose_language(arguments: Sequence[str]) -> None:
    """Let this process, and those it starts, speak the language that is asked for.

    What a program reads is English. Texts are translated while modules are imported, so this comes before.
    """
    if "--json" in arguments:
        os.environ[VARIABLE] = "en"
    elif language := dict(_before_command(arguments)).get("language"):
        os.environ[VARIABLE] = language


def _before_command(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what the options before the command say, and then the command, if there is one."""
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in _WITH_VALUE:
            yield _WITH_VALUE[argument], next(rest, "")
        elif equals and name in _WITH_VALUE:
            yield _WITH_VALUE[name], value
        elif argument.startswith("-C"):
            yield "directory", argument[2:]
        elif not argument.startswith("-"):
            yield "command", argument
            return
