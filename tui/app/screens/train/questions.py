"""What is asked before a run is paused, archived or goes on otherwise."""

from engine.errors import UserError
from engine.i18n import _
from tui.app.screens.shared.dialog import ConfirmScreen


def leave_training() -> ConfirmScreen:
    """Return the question before the app is left while it trains."""
    return ConfirmScreen(
        _("Leave while training?"),
        _("Training pauses and saves a checkpoint first. The next start goes on from there."),
        yes=_("Pause, save and leave"),
        no=_("Stay"),
    )


def leave_work(lost: str) -> ConfirmScreen:
    """Return the question before the app is left with work under way; `lost` says what becomes of that."""
    return ConfirmScreen(_("Leave now?"), lost, yes=_("End it and leave"), no=_("Stay"))


def train_anew(how: str = "") -> ConfirmScreen:
    """Return the question before a run is archived; `how` says what the next one is, if that is not known."""
    archived = _("The present run moves to checkpoints_qlora/archive; nothing is deleted.")
    return ConfirmScreen(
        _("Train anew?"),
        _("Suggested: {how}. {archived}").format(how=how, archived=archived) if how else archived,
        yes=_("Archive and start"),
        no=_("Keep it"),
    )


def accept_versions(error: UserError) -> ConfirmScreen:
    """Return the question before a run goes on that other versions computed so far, as `error` tells."""
    return ConfirmScreen(
        _("Go on with other versions?"),
        _("{problem}. A last digit or two may come out otherwise than in one go.").format(
            problem=error.problem
        ),
        yes=_("Go on"),
        no=_("Leave the run as it is"),
    )
