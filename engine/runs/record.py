"""One run in the list of runs: what it was made of, what became of it, and what is wrong with its folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.analysis.facts import RunSummary
from engine.analysis.series import bucket_means
from engine.analysis.summary import summary_of
from engine.analysis.verdict import Verdict, judge
from engine.config import TrainingConfig
from engine.errors import UserError, system_reason
from engine.files import NoPlainFile
from engine.i18n import _, ngettext
from engine.receipt.form import Receipt
from engine.runs.note import read_note
from engine.runs.origin import Origin, origin_of
from engine.runs.places import RunPlace
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.history import RunHistory, load_history
from engine.training.selected_config import FREE, going_on
from engine.training.state import known_state

CURVE_POINTS = 16
"""Of the loss in a list."""


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run; where its folder is no run's, only what is wrong with it."""

    place: RunPlace
    problem: str = ""
    """What is wrong with the folder, in a sentence; empty where nothing is."""
    note: str = ""
    """What somebody wrote about it."""
    started: str = ""
    """ISO 8601, of its last session; empty where that is not known."""
    summary: RunSummary | None = None
    verdict: Verdict | None = None
    settings: TrainingConfig | None = None
    """Its own; None where they are not known."""
    untold: frozenset[str] = frozenset()
    """Names of settings that are not known of it, whatever stands in `settings`."""
    origin: Origin = field(default_factory=Origin)
    curve: tuple[float, ...] = ()
    """Mean training losses, from the first step to the last, `CURVE_POINTS` at most."""

    @cached_property
    def values(self) -> dict[str, Any]:
        """Its settings by their names; none where they are not known."""
        if self.settings is None:
            return {}
        model = self.summary.model if self.summary else ""
        known = self.settings.model_dump(mode="json", exclude=set(self.untold))
        return known | ({"model": model} if model else {})


def describe(place: RunPlace) -> RunRecord:
    """Read what is known of a run; whatever its folder holds, that is said and nothing is raised."""
    try:
        return _described(place)
    except NoPlainFile as error:
        return RunRecord(place, problem=error.strerror or "")
    except UserError as error:
        return RunRecord(place, problem=error.problem)
    except OSError as error:
        reason = system_reason(error)
        return RunRecord(place, problem=_("The folder cannot be read: {reason}").format(reason=reason))
    except Exception as defect:  # a folder from anywhere must not hide the other runs
        text = _("What is in the folder makes no sense: {reason!r}")
        return RunRecord(place, problem=text.format(reason=defect))


def _described(place: RunPlace) -> RunRecord:
    if place.folder.is_symlink():
        return RunRecord(place, problem=_("It is a link, which is not followed"))
    if not place.folder.is_dir():
        return RunRecord(place, problem=_("It is no folder"))
    os.listdir(place.folder)  # one that cannot be read looks empty to all that follows
    project, note = place.project, read_note(place.project)
    history, state = load_history(project), known_state(project.state_file)
    if state is None and not len(history):
        return RunRecord(place, problem=_without_run(place), note=note)
    summary = summary_of(project, history, state)
    receipt, doubt = _receipt(place)
    settings, untold = _settings(place, summary, receipt)
    return RunRecord(
        place,
        problem=" ".join(f"{text}." for text in (doubt, *_doubts(place, summary)) if text).removesuffix("."),
        note=note,
        started=state.started if state else "",
        summary=summary,
        verdict=judge(summary),
        settings=settings,
        untold=untold,
        origin=origin_of(project, receipt),
        curve=_curve(history),
    )


def _without_run(place: RunPlace) -> str:
    """Say what a folder is that has neither steps nor a state."""
    names = os.listdir(place.folder)
    if not names:
        return _("The folder is empty")
    if checkpoint_folders(place.folder) or place.project.adapters_dir.name in names:
        return _("Only parts of a run are in it, which were moved out of the way")
    return _("There is no run in it")


def _receipt(place: RunPlace) -> tuple[Receipt | None, str]:
    """Return the receipt, and what is wrong with it if there is one that cannot be read."""
    if not os.path.lexists(place.project.receipt_file):
        return None, ""
    try:
        return Receipt.load(place.project.receipt_file), ""
    except NoPlainFile as error:
        return None, error.strerror or ""
    except UserError:
        return None, _("receipt.json is damaged, or of another version")


def _doubts(place: RunPlace, summary: RunSummary) -> Iterator[str]:
    if not os.path.lexists(place.project.state_file):
        yield _("training_state.json is missing")
    elif summary.status == "interrupted" and not summary.total_steps:
        yield _("training_state.json is damaged")
    if lines := summary.unreadable_lines:
        text = ngettext(
            "{n:,} line of its metrics cannot be read", "{n:,} lines of its metrics cannot be read", lines
        )
        yield text.format(n=lines)
    if summary.config is None:
        yield _("Its settings cannot be read")
    if summary.status != "finished" and summary.way_on == "damaged":
        yield _("Its checkpoints are damaged")


def _settings(
    place: RunPlace, summary: RunSummary, receipt: Receipt | None
) -> tuple[TrainingConfig | None, frozenset[str]]:
    """Return the run's own settings, and the names of those of them that are not known.

    The file beside the present run may hold the settings of the next one; a receipt leaves out those
    that are free.
    """
    is_next = place.is_present and not checkpoint_folders(place.folder)
    written = None if is_next else summary.config
    if receipt is None:
        return written, frozenset()
    if written is None:
        return receipt.settings, frozenset(FREE)
    return going_on(receipt.settings, written), frozenset()


def _curve(history: RunHistory) -> tuple[float, ...]:
    _steps, losses = bucket_means(*history.points("loss"), CURVE_POINTS)
    return tuple(losses.tolist())
