"""The trackers of a run: fed with what it tells, and left out, with a notice, where one fails."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from engine.i18n import _
from engine.trackers.installed import TITLES
from engine.trackers.tracker import Tracker
from engine.training.events import CheckpointSaved, Event, Finished, Notice, Paused, StepDone
from engine.training.parts import Parts


def tracked(events: Iterator[Event], parts: Parts, kept: int) -> Iterator[Event]:
    """Pass on the events of a run and give its trackers their figures.

    Args:
        events: of the loop, whose files are open.
        parts: what is trained.
        kept: the last step in the metrics file; what a tracker lacks up to it is made good.
    """
    names = parts.config.trackers
    trackers = _Trackers([Tracker(name, _order(parts, kept)) for name in names])
    try:
        for event in events:
            if isinstance(event, Paused | Finished):
                trackers.end(isinstance(event, Finished))
                yield from trackers.failed()
            else:
                trackers.take(event)
            yield event
            yield from trackers.failed()
    finally:
        trackers.abandon()


def _order(parts: Parts, kept: int) -> dict[str, object]:
    """Return what a tracker's process begins with."""
    project = parts.project
    return {
        "folder": str(project.run_dir.resolve()),
        "metrics": str(project.metrics_file.resolve()),
        "kept": kept,
        "run": parts.identity.run,
        "project": project.root.resolve().name,
        "config": json.loads(parts.config.model_dump_json()),
    }


class _Trackers:
    """Those that have not failed."""

    def __init__(self, trackers: list[Tracker]) -> None:
        self._left = trackers

    def take(self, event: Event) -> None:
        """Tell what concerns them of an event."""
        for tracker in self._left:
            if isinstance(event, StepDone):
                tracker.tell(row=asdict(event.metrics))
            elif isinstance(event, CheckpointSaved):
                tracker.tell(saved=True)

    def end(self, is_finished: bool) -> None:
        """Wait until all that was told is written."""
        for tracker in self._left:
            tracker.end(is_finished)

    def abandon(self) -> None:
        """Let them end by themselves."""
        for tracker in self._left:
            tracker.abandon()

    def failed(self) -> Iterator[Notice]:
        """Tell once of each that failed, which is left out from then on."""
        failed = [tracker for tracker in self._left if tracker.failure]
        self._left = [tracker for tracker in self._left if not tracker.failure]
        for tracker in failed:
            text = _("{tracker} is left out from here on ({reason}); the run goes on without it")
            yield Notice("warning", text.format(tracker=TITLES[tracker.name], reason=tracker.failure))
