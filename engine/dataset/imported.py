"""What came of an import: what was written, what was rejected, and what was not used."""

from dataclasses import dataclass, field
from pathlib import Path

from engine.dataset.records import Rejected
from engine.dataset.unused import named
from engine.i18n import _
from engine.project import Project

REJECTED = "rejected.jsonl"
"""Name of the list of rows that were not imported."""
MOST_LISTED = 200
"""Rejected rows that are told of at once; the list on the disk has all."""


@dataclass(frozen=True)
class Imported:
    """What was written."""

    folder: Path
    train: int
    """Rows."""
    valid: int
    kinds: dict[str, int]
    """Rejected rows by kind, see `Rejected`."""
    listed: tuple[Rejected, ...]
    """The first of them, `MOST_LISTED` at most."""
    is_undivided: bool = False
    """Whether rows were to be set apart for validation, but no two of them differ."""
    not_used: dict[str, int] = field(default_factory=dict)
    """Fields of rows and turns that were not used, and in how many of the rows written, see `NotUsed`."""

    @property
    def rejected(self) -> int:
        """Rows that were not imported."""
        return sum(self.kinds.values())

    def words(self, project: Project) -> str:
        """Say what was written and what is to be done with it, without a full stop."""
        parts = [_("{train} train, {valid} valid").format(train=f"{self.train:,}", valid=f"{self.valid:,}")]
        if self.is_undivided:
            parts.append(_("no two rows differ, so none could be set apart for validation"))
        if self.rejected:
            parts.append(_("{count} rejected, see {file}").format(count=f"{self.rejected:,}", file=REJECTED))
        if self.folder != project.data_dir:
            parts.append(_("move the files over yours to use them"))
        return "; ".join(parts)

    @property
    def note(self) -> str:
        """Name the fields that were not used; nothing where all were."""
        if not self.not_used:
            return ""
        return _("fields that are not used, and in how many rows: {names}").format(names=named(self.not_used))
