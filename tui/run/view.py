"""One look at the files of a run: everything that the training screen draws."""

import os
import time
from dataclasses import dataclass

from engine.analysis.chart_series import ChartData
from engine.analysis.remedies import Advice
from engine.analysis.run_folder import run_config
from engine.analysis.validations import validations_of
from engine.analysis.verdict import Verdict, judge, live_advice
from engine.files import stamp_of
from engine.project import Project
from engine.training.checkpoint_folders import checkpoint_folders, checkpoint_step
from engine.training.events import Phase
from engine.training.history import HistoryReader, RunHistory
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.training.state import RunState
from engine.tuning.state import TunedRun, tuned_run
from tui.run.curves import finite
from tui.run.figures import RunFigures, figures_of
from tui.run.machines import Machines, machines_of
from tui.run.other_process import can_ask
from tui.run.phase_words import phase_of

_REST = 200
"""Times the CPU time of a look that pass before the next: it costs training at most 0.5 % of a core."""
_LONGEST_REST_S = 30.0
"""Also where a look at a very long run takes longer."""
_KEPT_S = 5.0
"""Longest time that a view is kept although no file changed: swap and the silence of a run do without."""


@dataclass(frozen=True)
class RunView:
    """A run as its files tell it, whichever process makes it."""

    state: RunState | None
    owner: Owner | None
    """The process that trains now."""
    can_be_asked: bool
    """Whether that is another one, which can be asked to pause from here."""
    machines: Machines
    """What that process was started with."""
    tuned: TunedRun | None
    """The run of a tuning that it trains in place of this one."""
    figures: RunFigures
    charted: ChartData
    """What its charts are drawn from."""
    verdict: Verdict
    advice: tuple[Advice, ...]
    """What someone who watches should know now."""

    @property
    def other_process(self) -> int | None:
        """Process id of the trainer, if that is not this process."""
        return self.owner.pid if self.owner and self.owner.pid != os.getpid() else None

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
        self._cost = 0.0
        """CPU time of the last look, seconds: a busy machine makes a look longer, not dearer."""
        self._asked_of: tuple[Owner | None, bool] = None, False
        """Who trained at the last look, and whether that process can be asked to pause."""
        self._view: RunView | None = None
        self._charted = ChartData()
        self._seen: tuple[object, ...] = ()
        """What the last view was made of."""
        self._made_at = 0.0
        self._changed = (0.0, 0.0)
        """When the metrics last changed: by the file's clock, and by this process's, which nobody sets."""

    def is_due(self) -> bool:
        """Whether to look again: very long runs take longer to read and are read less often."""
        return time.monotonic() - self._read_at >= min(_REST * self._cost, _LONGEST_REST_S)

    def read(self) -> RunView:
        """Look again; the same view if there is nothing new. Takes up to a second for a million steps."""
        began, cpu_before, is_first = time.monotonic(), time.thread_time(), self._view is None
        history, owner = self._history.poll(), lock_owner(self._project)
        seen = (history, owner, stamp_of(self._project.state_file))
        if self._view is None or seen != self._seen or began - self._made_at >= _KEPT_S:
            state = RunState.load(self._project.state_file)
            if seen != self._seen:  # else they are the same, and need not be drawn again
                self._charted = chart_data(self._project, history, state)
            self._view = self._make(history, state, owner)
            self._seen, self._made_at = seen, began
        self._read_at = time.monotonic()
        self._cost = 0.0 if is_first else time.thread_time() - cpu_before  # the first also imports
        return self._view

    def _make(self, history: RunHistory, state: RunState | None, owner: Owner | None) -> RunView:
        figures = figures_of(self._project, history, state)
        return RunView(
            state=state,
            owner=owner,
            can_be_asked=self._can_be_asked(owner),
            machines=machines_of(owner),
            tuned=tuned_run(self._project, owner) if owner and not (state and state.is_alive) else None,
            figures=figures,
            charted=self._charted,
            verdict=judge(figures.summary),
            advice=live_advice(figures.summary, history, self._silence(history)),
        )

    def _can_be_asked(self, owner: Owner | None) -> bool:
        if owner is None or owner.pid == os.getpid():
            return False
        before, could = self._asked_of
        if owner != before or not could:
            self._asked_of = owner, can_ask(self._project, owner)
        return self._asked_of[1]

    def _silence(self, history: RunHistory) -> float:
        """Return the seconds since the run wrote a step; a clock set meanwhile changes nothing."""
        seen = self._changed[0]
        if history.modified != seen:
            already = 0.0 if seen else max(0.0, time.time() - history.modified)
            self._changed = (history.modified, time.monotonic() - already)
        return time.monotonic() - self._changed[1]


def chart_data(project: Project, history: RunHistory, state: RunState | None) -> ChartData:
    """Return what the charts of a run are drawn from."""
    return ChartData(
        history=history,
        checked=validations_of(history, run_config(project), state),
        initial_val_loss=finite(state.initial_val_loss) if state else None,
        total_steps=max(state.total_steps if state else 0, int(history.step[-1]) if len(history) else 1),
        checkpoints=tuple(map(checkpoint_step, checkpoint_folders(project.run_dir)[::-1])),
    )
