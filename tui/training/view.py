"""One look at the files of a run: everything that the training screen draws."""

import os
import time
from dataclasses import dataclass

from engine.analysis.advice import Advice
from engine.analysis.history import HistoryReader, RunHistory
from engine.analysis.verdict import Verdict, judge, live_advice
from engine.project import Project
from engine.training.events import Phase
from engine.training.lock import Owner, lock_owner
from engine.training.state import RunState
from tui.training.figures import RunFigures, curves_of, figures_of
from tui.training.phases import phase_of
from tui.widgets.loss_chart import LossCurves

_REST = 50
"""Times the duration of a look that pass before the next: it costs training at most 2 % of a core."""


@dataclass(frozen=True)
class RunView:
    """A run as its files tell it, whichever process makes it."""

    state: RunState | None
    owner: Owner | None
    """The process that trains now."""
    figures: RunFigures
    curves: LossCurves
    verdict: Verdict
    advice: tuple[Advice, ...]
    """What someone who watches should know now."""

    @property
    def other_process(self) -> int | None:
        """Process id of the trainer, if that is not this process."""
        return self.owner.pid if self.owner and self.owner.pid != os.getpid() else None

    @property
    def can_be_taken_over(self) -> bool:
        """Whether another process of this machine trains, which can be asked to pause."""
        return self.owner is not None and self.owner.is_local and self.other_process is not None

    @property
    def phase_elsewhere(self) -> Phase | None:
        """Stage that another process is working on; None while it makes steps."""
        return phase_of(self.state) if self.state and self.state.is_alive and self.other_process else None


class RunReader:
    """Follows the files of one project; reads only what is new."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._history = HistoryReader(project)
        self._read_at = 0.0
        self._took = 0.0
        self._changed = (0.0, 0.0)
        """When the metrics last changed: by the file's clock, and by this process's, which nobody sets."""

    def is_due(self) -> bool:
        """Whether to look again: very long runs take longer to read and are read less often."""
        return time.monotonic() - self._read_at >= _REST * self._took

    def read(self, columns: int) -> RunView:
        """Look again; `columns` is the width of the plot. Takes up to a second for a million steps."""
        began = time.monotonic()
        history, state = self._history.poll(), RunState.load(self._project.state_file)
        figures = figures_of(self._project, history, state)
        view = RunView(
            state=state,
            owner=lock_owner(self._project),
            figures=figures,
            curves=curves_of(history, state, columns),
            verdict=judge(figures.summary),
            advice=live_advice(figures.summary, history, self._silence(history)),
        )
        self._read_at = time.monotonic()
        self._took = self._read_at - began
        return view

    def _silence(self, history: RunHistory) -> float:
        """Return the seconds since the run wrote a step; a clock set meanwhile changes nothing."""
        seen = self._changed[0]
        if history.modified != seen:
            already = 0.0 if seen else max(0.0, time.time() - history.modified)
            self._changed = (history.modified, time.monotonic() - already)
        return time.monotonic() - self._changed[1]
