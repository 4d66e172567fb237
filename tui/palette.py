"""The list of places and commands."""

from engine.i18n import _
from tui.widgets.line_input import LineInput

from textual.app import ComposeResult
from textual.command import CommandInput, CommandPalette


class CommandLine(CommandInput, LineInput):
    """Its field, which treats what is pasted as every other one does."""


class Palette(CommandPalette):
    """Textual's, with a field of ours."""

    def __init__(self) -> None:
        super().__init__(placeholder=_("Where to?"), id="--command-palette")

    def compose(self) -> ComposeResult:
        """Yield Textual's widgets but for the field."""
        for widget in super().compose():
            is_field = isinstance(widget, CommandInput)
            yield CommandLine(placeholder=_("Where to?"), select_on_focus=False) if is_field else widget
