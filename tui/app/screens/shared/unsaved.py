"""Forms that are not left with changes unasked: save, discard or stay."""

from abc import abstractmethod
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

from engine.i18n import _
from tui.app.keys import PLACES, going_to
from tui.app.screens.shared.dialog import Dialog, DialogKeys

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

LeaveChoice = Literal["save", "discard", "stay"]
Values = TypeVar("Values")


class FormResult(NamedTuple, Generic[Values]):
    """How a form was left."""

    values: Values | None
    """What is to be saved; None leaves everything as it was."""
    then: str
    """The action to go on with once that is done, such as `app.quit`; empty for none."""


class UnsavedScreen(Dialog[LeaveChoice]):
    """Asks what shall become of the changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,s,ctrl+s", "answer('save')", _("Save"), id="unsaved.save"),
        Binding("d", "answer('discard')", _("Discard"), id="unsaved.discard"),
        Binding("escape,n,q", "answer('stay')", _("Stay"), id="unsaved.stay"),
    ]

    def compose(self) -> ComposeResult:
        """Draw one small box."""
        with Vertical(classes="dialog") as box:
            box.border_title = Content(_("Save the changes?"))
            yield Static(_("What was changed is not saved."), markup=False)
            yield DialogKeys(
                ("enter", "Enter", _("Save")), ("d", "d", _("Discard")), ("escape", "Esc", _("Stay"))
            )

    def action_answer(self, choice: LeaveChoice) -> None:
        """Close with the answer."""
        self.dismiss(choice)


class FormDialog(Dialog[FormResult[Values]], Generic[Values]):
    """Left by Escape, the number of a place or q; asks first where something was changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave('')", _("Close"), id="form.leave"),
        Binding("q", "leave('app.quit')", _("Quit"), show=False, id="form.quit"),
        *(
            Binding(str(number), f'leave("{going_to(mode)}")', name, show=False, id=f"form.{mode}")
            for number, (mode, name) in enumerate(PLACES.items(), start=1)
        ),
    ]

    @property
    @abstractmethod
    def is_changed(self) -> bool:
        """Whether there is something to save."""

    @abstractmethod
    def save(self, then: str) -> None:
        """Answer with the values, or go to the first field that is wrong."""

    def action_leave(self, then: str) -> None:
        """Close; ask first where something was changed.

        Args:
            then: the action to go on with.
        """

        def leave(choice: LeaveChoice | None) -> None:
            if choice == "save":
                self.save(then)
            elif choice == "discard":
                self.dismiss(FormResult(None, then))

        if self.is_changed:
            self.app.push_screen(UnsavedScreen(), leave)
        else:
            self.dismiss(FormResult(None, then))
