"""What is wrong with the data, one row a fault."""

from typing import ClassVar

from engine.dataset.report import Fault
from engine.i18n import _
from engine.text import one_line
from tui.theme import COLOURS, MUTED, SYMBOLS

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

MOST_ROWS = 500
"""More rows than this cost time to draw and are not read; the total is said in words."""
_FIXED = (1, 7, 5)
"""Widths of symbol, line and set."""
_WIDE = 100
"""From this width on there is a column for the fix."""


class FaultTable(DataTable[Text]):
    """Symbol, line, set, what is wrong and, where there is room, how to fix it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.go_on", _("Go on"), tooltip=_("Go on to training"), id="data.next"),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", cell_padding=1, cursor_foreground_priority="renderable")
        self._faults: tuple[Fault, ...] = ()

    def show(self, faults: tuple[Fault, ...]) -> None:
        """Draw the first `MOST_ROWS` of `faults`."""
        self._faults = faults[:MOST_ROWS]
        self._draw()

    def fault_at(self, row: int) -> Fault | None:
        """Return the fault of a row."""
        return self._faults[row] if 0 <= row < len(self._faults) else None

    def on_resize(self, event: events.Resize) -> None:
        """Fit the text columns to the new width."""
        self._draw()

    def _draw(self) -> None:
        cursor = self.cursor_row
        self.clear(columns=True)
        for label, width in self._columns():
            self.add_column(Text(label, MUTED), width=width)
        for fault in self._faults:
            self.add_row(*_cells(fault)[: len(self.columns)])
        self.move_cursor(row=cursor)

    def _columns(self) -> list[tuple[str, int]]:
        labels = [("", _FIXED[0]), (_("line").rjust(_FIXED[1]), _FIXED[1]), (_("set"), _FIXED[2])]
        room = self.size.width - 2 * len(_FIXED) - sum(_FIXED) - 1
        if self.size.width < _WIDE:
            return [*labels, (_("what is wrong"), max(10, room - 2))]
        return [
            *labels,
            (_("what is wrong"), (room - 4) * 3 // 5),
            (_("how to mend it"), (room - 4) * 2 // 5),
        ]


def _cells(fault: Fault) -> tuple[Text, ...]:
    return (
        Text(SYMBOLS[fault.severity], COLOURS[fault.severity]),
        Text(f"{fault.line:,}" if fault.line else "", justify="right"),
        Text(one_line(fault.file.removesuffix(".jsonl"), 5)),
        Text(one_line(fault.message, 300), no_wrap=True, overflow="ellipsis"),
        Text(one_line(fault.fix, 300), MUTED, no_wrap=True, overflow="ellipsis"),
    )
