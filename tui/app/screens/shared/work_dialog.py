"""Dialogs that do what takes a while, and can be ended."""

from threading import Event
from typing import TYPE_CHECKING, ClassVar, cast

from engine.errors import UserError
from engine.i18n import _
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.dialog import Answer, Dialog
from tui.app.screens.shared.news_line import NewsLine

from textual import on

if TYPE_CHECKING:
    from tui.app.state import AppState


class WorkDialog(Dialog[Answer]):
    """Esc, or a button of the class `close`, ends the work under way; without any it closes the dialog.

    It has one `NewsLine`.
    """

    WHEN_LEFT: ClassVar[str] = ""
    """What becomes of the work when the app is left, in a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self._cancel: Event | None = None
        """Ends the work under way; None while there is none."""

    @property
    def _is_working(self) -> bool:
        """Whether work is under way that nobody has ended."""
        return self._cancel is not None and not self._cancel.is_set()

    @property
    def _answer(self) -> Answer | None:
        """What the dialog answers when it is closed without more ado."""
        return None

    @property
    def _mqlora(self) -> "AppState":
        return cast("AppState", self.app)

    def _say(self, text: str) -> None:
        """Say how far the work is, or what came of it; empty for nothing."""
        self.query_one(NewsLine).say(text)

    def _refuse(self, error: UserError) -> None:
        """Say why it was refused."""
        self.query_one(NewsLine).refuse(error)

    def on_unmount(self) -> None:
        """End what is under way."""
        if self._cancel:
            self._cancel.set()

    @property
    def at_work(self) -> str:
        """What leaving would end."""
        return self.WHEN_LEFT if self._is_working else ""

    def stop_work(self) -> bool:
        """End what is under way, as Esc does."""
        if self._cancel is None:
            return False
        self.action_leave()
        return True

    @on(Button.Pressed, ".close")
    def action_leave(self) -> None:
        """End what is under way; without anything close."""
        if self._cancel:
            self._cancel.set()
            self._say(_("Ending …"))
        else:
            self.dismiss(self._answer)
