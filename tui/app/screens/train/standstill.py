"""A run that stands still although it was to go on: what is said on top, and of a key that begins it."""

from engine.errors import UserError
from engine.i18n import _
from tui.app.screens.shared.base import PlaceScreen
from tui.run.headline import after_a_failed_start
from tui.run.status import UNFINISHED, RunSign, RunStatus
from tui.run.view import RunView

Sentence = tuple[RunSign | None, str, str]
"""As `tui.run.headline.sentence` returns it."""


class TellsOfStandstill(PlaceScreen):
    """A place that begins runs and goes on with them."""

    def __init__(self) -> None:
        super().__init__()
        self._view: RunView | None = None
        """What was last seen of the run."""
        self._stood_at = ""
        """Session that stood still when a run was last begun or resumed here."""
        self._refusal: UserError | None = None
        """Why that failed; a note says it."""

    def why_not(self, action: str) -> str:
        """Say what keeps a run from being begun."""
        if action not in ("start", "resume", "restart") or not self.mqlora.run_state.is_training:
            return super().why_not(action)
        other = self.mqlora.training.other_process()
        if other is None or not other.pid:
            return _("Training is running; pause it first, with Ctrl+C.")
        return _("Process {pid} trains in this folder; a run begins or goes on when it is over.").format(
            pid=other.pid
        )

    def note_start(self) -> None:
        """Remember what stands still while a run is begun or resumed."""
        self._stood_at = self._session

    def show_failed_start(self, error: UserError) -> None:
        """Show why a run was not begun, or ended."""
        self._refusal = error
        self.show_error(error)

    def instead(self, status: RunStatus, said: Sentence) -> Sentence:
        """Return what to say on top: not why the run once stopped, while a note tells of a failed start."""
        is_said = self._refusal is not None and self._notes.error is self._refusal
        if is_said and status.phase in UNFINISHED and self._session == self._stood_at:
            return "error", after_a_failed_start(status), said[2]
        return said

    @property
    def _session(self) -> str:
        """When the present or last session of the run began; empty where there was none."""
        return self._view.state.started if self._view and self._view.state else ""
