"""How screens that lie over others are closed."""

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

Answer = TypeVar("Answer")


class Closing(Screen[Answer]):
    """Closes once: Textual would close the screen below for a key that was typed twice."""

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Answer and close; only the first answer counts."""
        return super().dismiss(result) if self.is_current else AwaitComplete()


class Dialog(ModalScreen[Answer], Closing[Answer]):
    """Lies over a place, which takes no keys meanwhile."""
