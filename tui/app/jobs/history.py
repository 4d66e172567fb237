"""The runs of the project, read bit by bit in threads."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from engine.analysis.chart_series import series_of
from engine.errors import UserError
from engine.project import Project
from engine.runs.places import RunPlace, run_places
from engine.runs.record import RunRecord, describe
from engine.training.history import load_history
from engine.training.state import RunState
from tui.run.chart_view import ChartView
from tui.run.curves import ChartCurves, curves_of
from tui.run.view import chart_data

_SLICE_S = 0.2
"""After so long what is known is shown."""


class RunLister:
    """Reads the runs of a project; an archived one that did not change is read once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[Path, tuple[object, RunRecord]] = {}

    def places(self) -> list[RunPlace]:
        """Return where runs lie."""
        return run_places(self._project)

    def stamp(self) -> object:
        """Return what changes when a run comes, goes or is written; no file is read for it."""
        project = self._project
        return _stamp(project), _changed(project.archive_dir)

    def describe(self, places: Sequence[RunPlace]) -> list[RunRecord]:
        """Return what is known of the first of these runs: of as many as a moment is enough for."""
        end, found = time.monotonic() + _SLICE_S, list[RunRecord]()
        for place in places:
            found.append(self._describe(place))
            if time.monotonic() >= end:
                break
        return found

    def _describe(self, place: RunPlace) -> RunRecord:
        if place.is_present:
            return describe(place)
        stamp, before = _stamp(place.project), self._known.get(place.folder)
        if before and before[0] == stamp:
            return before[1]
        record = describe(place)
        self._known[place.folder] = stamp, record
        return record


def curves_in(place: RunPlace, columns: int) -> ChartCurves:
    """Return the loss curves of a run, thinned for a plot; none where its folder is no run's."""
    project = place.project
    try:
        data = chart_data(project, load_history(project), RunState.load(project.state_file))
    except UserError:  # which the list tells
        return ChartCurves()
    return curves_of(series_of(data), ChartView(), columns)


def _stamp(project: Project) -> object:
    """Return what changes when a file of a run does."""
    names = (project.run_dir, project.metrics_file, project.state_file, project.config_file)
    return tuple(map(_changed, (*names, project.receipt_file, project.note_file)))


def _changed(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
