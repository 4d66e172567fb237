"""Every key of the present place, made from the bindings themselves."""

from typing import ClassVar

from engine.i18n import _
from tui.theme import ACCENT

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class HelpScreen(ModalScreen[None]):
    """A list of keys; any of Escape, ? and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,f1", "dismiss", _("Close"), id="help.close"),
    ]

    def __init__(self, place: str, bindings: list[ActiveBinding]) -> None:
        super().__init__()
        self._place = place
        self._active = [active for active in bindings if active.binding.id and active.binding.description]

    def compose(self) -> ComposeResult:
        """Draw the keys of the place first, then those that work everywhere."""
        everywhere = [active for active in self._active if active.node is self.app]
        here = [active for active in self._active if active.node is not self.app]
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = Content(_("Keys"))
            box.border_subtitle = Content(_("Esc closes"))
            yield Static(self._section(self._place, here))
            yield Static(self._section(_("Everywhere"), everywhere), classes="everywhere")

    def _section(self, title: str, bindings: list[ActiveBinding]) -> Table:
        table = Table.grid(expand=True, padding=(0, 2, 0, 0))
        table.add_column(min_width=10, no_wrap=True)
        table.add_column(ratio=1)
        table.add_row(Text(title, f"bold {ACCENT}"))
        for keys, active in self._by_action(bindings).values():
            table.add_row(
                Text(f"  {'  '.join(keys)}", "bold"), Text(active.tooltip or active.binding.description)
            )
        return table

    def _by_action(self, bindings: list[ActiveBinding]) -> dict[str, tuple[list[str], ActiveBinding]]:
        """Join the keys that do the same."""
        found: dict[str, tuple[list[str], ActiveBinding]] = {}
        for active in bindings:
            keys, _first = found.setdefault(active.binding.action, ([], active))
            keys.append(self.app.get_key_display(active.binding))
        return found
