"""Whether the thread that computes is free for what takes long, such as an export or an evaluation."""

from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.i18n import _
from tui.app.screens.shared.note_line import Busy

if TYPE_CHECKING:
    from tui.app.state import AppState


def busy(app: "AppState") -> UserError | None:
    """Return why nothing can be computed now: one thread computes, and a run needs the memory."""
    if app.run_state.is_training:
        problem, fix = _("Training is running"), _("do this when the run is paused or over")
        return Busy(problem, fix, lambda: app.run_state.is_training)
    if app.measuring:
        problem, fix = _("Memory is being measured"), _("do this when that is over")
        return Busy(problem, fix, lambda: bool(app.measuring))
    if not app.engine.idle.is_set():
        return UserError(_("A chat, or another job, is using MLX"), _("do this when that is over"))
    return None
