"""Every key of the present place, made from the bindings themselves."""

from dataclasses import replace
from typing import Any, ClassVar

from engine.i18n import _
from tui.app.key_help import KeyLine, moving_lines, own_lines, typing_lines
from tui.app.screens.shared.dialog import Dialog
from tui.app.theme import ACCENT

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static


class HelpScreen(Dialog[None]):
    """A list of keys; any of Escape, ? and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,f1", "dismiss", _("Close"), id="help.close"),
    ]

    def __init__(self, place: str, screen: Screen[Any]) -> None:
        """Note the keys of `screen`, which is called `place`."""
        super().__init__()
        bindings = screen.active_bindings
        self._keys = {key: replace(active.binding, key_display=None) for key, active in bindings.items()}
        sections = {
            place: [*own_lines(bindings, False, screen), *moving_lines(bindings, screen)],
            _("In the line"): typing_lines(bindings, screen),
            _("Everywhere"): own_lines(bindings, True, screen),
        }
        self.sections = {title: lines for title, lines in sections.items() if lines}
        """What is listed below each title."""

    def compose(self) -> ComposeResult:
        """Draw the keys of the place first, then those that work everywhere."""
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = Content(_("Keys"))
            box.border_subtitle = Content(_("Esc closes"))
            for title, lines in self.sections.items():
                yield Static(self._section(title, lines), classes="help-section")

    def _section(self, title: str, lines: list[KeyLine]) -> Table:
        table = Table.grid(expand=True, padding=(0, 2, 0, 0))
        table.add_column(min_width=12, no_wrap=True)
        table.add_column(ratio=1)
        table.add_row(Text(title, f"bold {ACCENT}"))
        for line in lines:
            names = "  ".join(self.app.get_key_display(self._keys[key]) for key in line.keys)
            table.add_row(Text(f"  {names}", "bold"), Text(line.text))
        return table
