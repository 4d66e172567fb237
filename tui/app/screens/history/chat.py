"""The chat with the result of an archived run."""

from typing import ClassVar

from engine.analysis.run_folder import run_config
from engine.i18n import _
from engine.project import Project
from engine.runs.places import RunPlace
from engine.training.selected_config import adapter_model
from tui.app.screens.chat.chat import ChatScreen
from tui.app.screens.chat.keys import CHAT_KEYS

from textual.binding import Binding, BindingType


class ArchivedChatScreen(ChatScreen):
    """Lies over the history; Escape closes it when there is nothing else to end."""

    PLACE: ClassVar[str] = _("7 History: chat")
    BINDINGS: ClassVar[list[BindingType]] = [
        *CHAT_KEYS,  # a key that is bound here again would have no other meaning
        Binding(
            "escape", "back", _("Back"), tooltip=_("Go back to the list of runs"), id="archived_chat.back"
        ),
    ]

    def __init__(self, place: RunPlace) -> None:
        """Prepare the chat.

        Args:
            place: of the run whose adapter answers.
        """
        super().__init__()
        self._place = place

    @property
    def project(self) -> Project:
        """The project as the archived run sees it."""
        return self._place.project

    @property
    def model_name(self) -> str:
        """Base model of the archived run."""
        config = run_config(self.project)
        return adapter_model(self.project) or (config.model if config else "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape ends a reply, dismisses a message and leaves the line first."""
        if action == "back":
            others = ("stop", "clear_error", "leave")
            return not any(super(ArchivedChatScreen, self).check_action(other, ()) for other in others)
        return super().check_action(action, parameters)

    def action_back(self) -> None:
        """Close the chat; its model is forgotten."""
        self.stop_work()
        self._model.forget()
        self.dismiss()
