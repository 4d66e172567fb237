"""The choice of a checkpoint to talk to."""

from typing import ClassVar

from engine.i18n import _
from engine.sanitize import one_line
from tui.app.jobs.adapters import ChatAdapter
from tui.app.screens.shared.dialog import Dialog

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option


def adapter_name(adapter: ChatAdapter) -> str:
    """Return how an adapter is called."""
    if adapter.folder is None:
        return _("adapters/, the best of the run")
    name = _("step {step:,}, epoch {epoch}").format(step=adapter.step, epoch=adapter.epoch)
    return f"{name}, {one_line(adapter.run, 60)}" if adapter.run else name


class AdaptersScreen(Dialog[ChatAdapter]):
    """Answers with the adapter that was chosen; Escape leaves it as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,k", "dismiss(None)", _("Close"), id="adapters.close"),
    ]

    def __init__(self, found: list[ChatAdapter], chosen: ChatAdapter) -> None:
        super().__init__()
        self._found, self._chosen = found, chosen

    def compose(self) -> ComposeResult:
        """Draw the list."""
        with Vertical(classes="dialog chat-adapters") as box:
            box.border_title = Content(_("Talk to"))
            box.border_subtitle = Content(_("Enter chooses, Esc closes"))
            yield OptionList(*(Option(Content(adapter_name(adapter))) for adapter in self._found))

    def on_mount(self) -> None:
        """Begin with what is chosen."""
        options = self.query_one(OptionList)
        options.focus()
        options.highlighted = self._found.index(self._chosen) if self._chosen in self._found else 0

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index])
