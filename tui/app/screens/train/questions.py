"""What is asked before a run is paused, archived or goes on otherwise."""

from typing import ClassVar, Literal

from engine.errors import UserError
from engine.i18n import _
from engine.training.lock_file import Owner
from tui.app.screens.shared.dialog import ConfirmScreen, Dialog, DialogKeys
from tui.run.machines import Machines

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

LeaveChoice = Literal["pause", "keep", "stay"]


class LeaveTrainingScreen(Dialog[LeaveChoice]):
    """Asks before the app is left while it trains, and says first what becomes of the run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y,p", "answer('pause')", _("Pause, save and leave"), id="leave.pause"),
        Binding("b,k", "answer('keep')", _("Leave and keep training"), id="leave.keep"),
        Binding("escape,n,q", "answer('stay')", _("Stay"), id="leave.stay"),
    ]

    def compose(self) -> ComposeResult:
        """Draw one box, as wide as its keys."""
        pauses = _("Enter saves a checkpoint and pauses the run; the next start goes on from there.")
        goes_on = _("b saves one too; a process in the background goes on from it, without this terminal.")
        with Vertical(classes="dialog leaving") as box:
            box.border_title = Content(_("Leave while training?"))
            yield Static(f"{pauses}\n{goes_on}", markup=False)
            yield DialogKeys(
                ("enter", "Enter", _("Pause, save and leave")),
                ("b", "b", _("Leave and keep training")),
                ("escape", "Esc", _("Stay")),
            )

    def action_answer(self, choice: LeaveChoice) -> None:
        """Close with the answer."""
        self.dismiss(choice)


def leave_work(lost: str) -> ConfirmScreen:
    """Return the question before the app is left with work under way; `lost` says what becomes of that."""
    return ConfirmScreen(_("Leave now?"), lost, yes=_("End it and leave"), no=_("Stay"))


class PauseOtherScreen(ConfirmScreen):
    """Asks before a run of another process is paused; Ctrl+C, which asked, is a yes as well."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(
            _("Pause a run of another process?"),
            _(
                "Process {pid} trains, not this app. It finishes its step, saves a checkpoint and pauses."
            ).format(pid=owner.pid),
            yes=_("Pause it (Ctrl+C too)"),
            no=_("Let it train"),
        )

    def stop_work(self) -> bool:
        """Take the second Ctrl+C as a yes."""
        self.dismiss(True)
        return True


def take_it_over(owner: Owner, machines: Machines) -> ConfirmScreen:
    """Return the question before a run of another process is made to go on here, or with `machines`."""
    text = _("Process {pid} saves a checkpoint and pauses; then the run goes on in this app.")
    if machines.is_several:
        text = _("Process {pid} saves a checkpoint and pauses; then the run goes on with {machines}.")
    return ConfirmScreen(
        _("Take the run over?"),
        text.format(pid=owner.pid, machines=machines.words),
        yes=_("Take it over"),
        no=_("Let it train there"),
    )


def train_anew(how: str = "", settings: str = "") -> ConfirmScreen:
    """Return the question before a run is archived.

    Args:
        how: what is suggested for the next one, if anything is.
        settings: that the next one is made with, in words.
    """
    archived = _("The present run moves to checkpoints_qlora/archive; nothing is deleted.")
    return ConfirmScreen(
        _("Train anew?"),
        " ".join(filter(None, (_with(how, settings), archived))),
        yes=_("Archive and start"),
        no=_("Keep it"),
    )


def _with(how: str, settings: str) -> str:
    if how:
        return _("Suggested: {how}.").format(how=how)
    return _("It begins with {settings}.").format(settings=settings) if settings else ""


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
