"""The rows of the machine check."""

from typing import ClassVar

from engine.hardware.report import Check
from engine.i18n import _
from engine.sanitize import one_line
from engine.symbols import SYMBOLS
from tui.app.theme import COLOURS, MUTED

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

LABEL_WIDTH = 14


NEXT_KEY = Binding(
    "enter", "screen.go_on", _("Choose a profile"), tooltip=_("Go on to the profiles"), id="hardware.next"
)
"""Of the list, which would take the key for itself, and of the place."""


class CheckList(OptionList):
    """One row per check: symbol, label, what was found, and the status in words."""

    BINDINGS: ClassVar[list[BindingType]] = [NEXT_KEY]

    def show(self, checks: tuple[Check, ...]) -> None:
        """Draw `checks`, keeping the highlighted one."""
        kept = self.highlighted_option.id if self.highlighted_option else None
        self.clear_options()
        self.add_options([Option(_row(check), id=check.id) for check in checks])
        ids = [check.id for check in checks]
        if checks:
            self.highlighted = ids.index(kept) if kept in ids else 0

    def select(self, check: Check) -> None:
        """Highlight the row of `check`."""
        self.highlighted = self.get_option_index(check.id)


def _row(check: Check) -> Table:
    colour = COLOURS[check.status]
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(width=1)
    row.add_column(width=LABEL_WIDTH)
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(justify="right", no_wrap=True)
    row.add_row(
        Text(SYMBOLS[check.status], style=colour),
        Text(check.label, style=MUTED),
        Text(one_line(check.value, 400)),
        Text(status_word(check.status), style=colour),
    )
    return row


def status_word(status: str) -> str:
    """Return the status of a check in words; nothing where all is well."""
    return {"ok": "", "warning": _("attention"), "error": _("must be fixed")}[status]
