"""Dialogs that do what takes a while, and can be ended."""

from abc import abstractmethod
from threading import Event
from typing import ClassVar

from engine.i18n import _
from tui.app.screens.shared.button import Button
from tui.app.screens.shared.dialog import Answer, Dialog

from textual import on


class WorkDialog(Dialog[Answer]):
    """Esc, or a button of the class `close`, ends the work under way; without any it closes the dialog."""

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

    @abstractmethod
    def _say(self, text: str) -> None:
        """Say how far the work is."""

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
