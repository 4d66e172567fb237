"""The list of places and commands.

Textual's own searches in a worker of its own: what is typed ahead of it is lost, the same key
typed twice closes two screens, and at the end of the app it fails.
"""

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from engine.i18n import _
from tui.app.screens.shared.dialog import Dialog
from tui.app.screens.shared.line_input import LineInput
from tui.words import searchable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import FuzzySearch
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option


class Command(NamedTuple):
    """A line of the list."""

    title: str
    about: str
    """What it does, in a sentence."""
    key: str
    """What does the same, as it stands on the keyboard."""
    action: str
    """What is run, of the app."""
    also: tuple[str, ...] = ()
    """What other programs call it."""


class CommandList(OptionList, can_focus=False):
    """What is found; its keys are those of the palette, whose line keeps the focus."""


class Palette(Dialog[Command]):
    """Answers with the command that was chosen by a part of its name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", _("Close"), id="palette.close"),
        *(
            Binding(key, f"move('{way}')", show=False)
            for key, way in {
                "up": "cursor_up",
                "down": "cursor_down",
                "pageup": "page_up",
                "pagedown": "page_down",
            }.items()
        ),
    ]

    def __init__(self, commands: Iterable[Command]) -> None:
        super().__init__()
        self._commands = {command.title: command for command in commands}
        self._search = FuzzySearch()

    def compose(self) -> ComposeResult:
        """Draw the line and below it what is found."""
        with Vertical(classes="dialog palette"):
            yield LineInput(placeholder=_("Where to?"), compact=True)
            yield CommandList()

    def on_mount(self) -> None:
        """Offer everything."""
        self._show("")

    def action_move(self, way: str) -> None:
        """Move in the list."""
        getattr(self.query_one(CommandList), f"action_{way}")()

    @on(Input.Changed)
    def _find(self, event: Input.Changed) -> None:
        event.stop()
        self._show(event.value.strip())

    def _match(self, text: str, command: Command) -> tuple[float, Sequence[int]]:
        """Return how well `text` names a command, 0 for not at all, and which letters of its title."""
        if text in command.also:
            return math.inf, ()
        return self._search.match(searchable(text), searchable(command.title)) if text else (1.0, ())

    def _show(self, text: str) -> None:
        """List the commands that `text` may mean, the likeliest first."""
        matches = {name: self._match(text, command) for name, command in self._commands.items()}
        found = sorted((name for name in matches if matches[name][0]), key=lambda name: -matches[name][0])
        options = self.query_one(CommandList).clear_options()
        for name in found:
            command = self._commands[name]
            title = Content.styled(name, "bold")
            for position in matches[name][1]:
                title = title.stylize("underline", position, position + 1)
            key = Content.assemble("  ", (command.key, "$accent"))
            about = Content.styled(command.about, "$muted")
            title = Content.assemble(title, key)
            options.add_option(Option(Content("\n").join([title, about]), id=name))
        if found:
            options.highlighted = 0
        else:
            options.add_option(Option(_("No place and no command is called so."), disabled=True))

    @on(Input.Submitted)
    def _take_highlighted(self, event: Input.Submitted) -> None:
        event.stop()
        option = self.query_one(CommandList).highlighted_option
        if option and option.id:
            self.dismiss(self._commands[option.id])

    @on(OptionList.OptionSelected)
    def _take_clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option.id:
            self.dismiss(self._commands[event.option.id])
