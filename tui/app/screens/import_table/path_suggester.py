"""The rest of a path that is being typed."""

import asyncio
import os
from pathlib import Path

from textual.suggester import Suggester


def named_path(base: Path, text: str) -> Path | None:
    """Return the path that is typed, perhaps in quotation marks; None where none is."""
    name = text.strip().strip("'\"")
    return base / os.path.expanduser(name) if name else None


class PathSuggester(Suggester):
    """Suggests the first file or folder, by name, whose path begins with what is typed."""

    def __init__(self, base: Path) -> None:
        """Prepare.

        Args:
            base: where relative paths begin.
        """
        super().__init__(use_cache=False, case_sensitive=True)
        self._base = base

    async def get_suggestion(self, value: str) -> str | None:
        """Return the whole path; None where there is none. A slow disk does not hold up the app."""
        return await asyncio.to_thread(self._complete, value)

    def _complete(self, value: str) -> str | None:
        folder, begin = os.path.split(value)
        try:
            with os.scandir(self._base / os.path.expanduser(folder)) as entries:
                found = [entry for entry in entries if entry.name.startswith(begin)]
            shown = [entry for entry in found if begin or not entry.name.startswith(".")]
            first = min(shown, key=lambda entry: entry.name)
            return f"{value}{first.name[len(begin) :]}{'/' if first.is_dir() else ''}"
        except (OSError, ValueError):  # no such folder, or none that can be; nothing in it
            return None
