"""One row of a file that is to be imported, or why it is not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from engine.dataset.report import LEFT_OUT
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line


class Record(NamedTuple):
    """One row of a source."""

    place: int
    """Line it begins on, from 1; its number from 1 in a JSON array or a Parquet file."""
    value: dict[str, Any]
    """Cells by the name of their column; all are text in CSV and its like."""


@dataclass(frozen=True)
class Rejected:
    """A row that is not imported."""

    place: int
    """As in `Record`."""
    kind: str
    """Stable name, as in `Fault`."""
    reason: str
    fix: str

    @property
    def is_wanted(self) -> bool:
        """Whether the row itself asks to be left out."""
        return self.kind == LEFT_OUT


def refuse_twice(path: Path, names: Iterable[str]) -> None:
    """Refuse two columns of one name: which of them is meant cannot be told."""
    twice = next((name for name, count in Counter(names).items() if name and count > 1), "")
    if twice:
        raise UserError(
            _("{path} has two columns named '{name}'").format(path=path, name=one_line(twice, 60)),
            _("rename one of them"),
        )
