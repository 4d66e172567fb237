"""The command that writes a cleaned copy of the data."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from engine import units
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line
from engine.training.selected_config import selected_settings
from tui.cli.in_place import say_how_to_use
from tui.cli.validate import data_progress
from tui.console import model_taken, print_json, say, say_model

if TYPE_CHECKING:
    from engine.dataset.convert.clean import Cleaned  # imports numpy, so not at start-up

_LISTED = 20


def clean_copy(project: Project, seed: int, shuffle: bool, as_json: bool) -> None:
    """Write the copy and say what changed; rows are read as `validate` does."""
    from engine.dataset.convert.clean import clean_data

    config = selected_settings(project)
    if not as_json:
        say_model(project, config.model)
    with data_progress() as on_progress:
        cleaned = clean_data(project, config, seed, shuffle, on_progress)
    if as_json:
        more = {
            "dropped": cleaned.dropped,
            "moved": cleaned.moved,
            "model": model_taken(project, config.model),
        }
        print_json(asdict(cleaned) | more)
    else:
        _say_changes(cleaned)
        _say_written(cleaned)


def _say_changes(cleaned: "Cleaned") -> None:
    """Say which rows were dropped, what was tidied and what stays in spite of warnings."""
    listed = [change for change in cleaned.changes if change.action == "dropped"]
    for change in listed[:_LISTED]:
        say(
            _("  - {file} line {line}: {reason}").format(
                file=one_line(change.file, 40), line=change.line, reason=one_line(change.reason, 200)
            )
        )
    if len(listed) > _LISTED:
        say(_("  … and {n} more").format(n=len(listed) - _LISTED))
    for change in cleaned.tidied:
        said = _("  · {file}, cleaned: {reason}") if change.action == "tidied" else _("  · {file}: {reason}")
        say(said.format(file=one_line(change.file, 40), reason=change.reason))
    if cleaned.warned:
        text = _(
            "  ! kept in spite of warnings: {rows}, of which only you can tell; see: mqlora-tui validate"
        )
        say(text.format(rows=units.rows(cleaned.warned)))


def _say_written(cleaned: "Cleaned") -> None:
    """Say what the copy holds, and how it takes the place of the data."""
    text = _("✓ {folder}: {train} train, {valid} valid; dropped {dropped}, set apart {moved}")
    say(
        text.format(
            folder=one_line(str(cleaned.folder), 300),
            train=cleaned.train,
            valid=cleaned.valid,
            dropped=cleaned.dropped,
            moved=cleaned.moved,
        )
    )
    say(_("  changes.jsonl there says what and why."))
    say_how_to_use(cleaned.folder)
