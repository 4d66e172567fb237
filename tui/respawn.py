"""Starting this program again as a child: what its command line says, and how a child knows that it is one.

Only the standard library is imported, so that it starts at once.
"""

from collections.abc import Sequence
from pathlib import Path

SUPERVISED = "MQLORA_GUARDED"
"""Environment variable of a process that has a supervisor, or shall have none."""
_WITH_VALUE = ("-C", "--directory")


def peek(arguments: Sequence[str]) -> tuple[Path, str | None]:
    """Return the project directory and the command that `arguments` name, None for the app."""
    directory, rest = Path(), iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in _WITH_VALUE:
            directory = Path(next(rest, ""))
        elif equals and name in _WITH_VALUE:
            directory = Path(value)
        elif argument.startswith("-C"):
            directory = Path(argument[2:])
        elif not argument.startswith("-"):
            return directory, argument
    return directory, None
