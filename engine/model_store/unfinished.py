"""Downloads that were interrupted: each a hidden folder in `models/`, from which it goes on."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.files import read_own
from engine.model_store.hub import command
from engine.sanitize import one_line

PREFIX = ".get-"
"""How the name of a folder begins with what there is of a model that is being downloaded."""
NOTE = "download.json"
"""File in it that says which model that is."""


@dataclass(frozen=True)
class Unfinished:
    """A download that was interrupted."""

    name: str
    """Of the model's folder that it is to become."""
    folder: Path
    repository: str
    asked: str
    present: int
    """Bytes that are here."""
    total: int

    @property
    def command(self) -> str:
        """What goes on with it."""
        own = self.repository.partition("/")[2]
        return command(self.repository, self.asked) + (f" --name {self.name}" if self.name != own else "")


def unfinished(models: Path) -> list[Unfinished]:
    """Return the downloads into `models` that were interrupted, or are under way in another process."""
    found = []
    for folder in sorted(models.glob(f"{PREFIX}*")):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            note = json.loads(read_own(folder / NOTE))
            sizes = [int(size) for _key, size in note["files"].values()]
            found.append(
                Unfinished(
                    folder.name.removeprefix(PREFIX),
                    folder,
                    one_line(str(note["repository"]), 200),
                    one_line(str(note["asked"]), 200),
                    _bytes_below(folder),
                    sum(sizes),
                )
            )
    return found


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != NOTE)
