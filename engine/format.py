"""The number of the format in which files are written, and what is said of a file from another version."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.i18n import _

FORMAT = 2
"""Of checkpoints, run state and configuration. A file without a number is of format 1."""
KEY = "format"
"""Field that holds the number."""


class OtherVersions(UserError):
    """A run was computed by other versions of the libraries so far; the user may accept that."""


def is_unknown(values: dict[str, Any]) -> bool:
    """Whether the content of a file is of a format that this version does not know."""
    number = values.get(KEY, 1)
    return not isinstance(number, int) or not 1 <= number <= FORMAT


def is_later(values: dict[str, Any]) -> bool:
    """Whether even a file whose checksum is not right was surely meant to be of a later format."""
    number = values.get(KEY)
    return isinstance(number, int) and number > FORMAT


def other_version(path: Path, fix: str = "") -> UserError:
    """Return the refusal of a file that is whole, and holds what this version does not know.

    Args:
        path: of the file.
        fix: what to do; empty where it belongs to a run.
    """
    return UserError(
        _(
            "{path} holds what mqlora-tui {version} does not know: "
            "another version wrote it, or it was changed by hand"
        ).format(path=path, version=version("mqlora-tui")),
        fix
        or _(
            "use that version, or begin anew, the old run is archived: "
            "R in the app, or mqlora-tui train --restart"
        ),
    )
