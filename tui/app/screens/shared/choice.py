"""Lists of choices: one that opens where it stands, and one of a single widget, for long forms."""

from collections.abc import Sequence
from typing import Any, ClassVar

from engine.i18n import _
from tui.app.screens.shared.dialog import Dialog

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import OptionList, Select


class Choice(Select[Any], inherit_bindings=False):
    """A list of choices that leaves the up and down keys to the form."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "show_overlay", _("Open the list"), show=False),
    ]


class Picker(Choice, inherit_bindings=False):
    """A list of choices that leaves Enter to the dialog."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "show_overlay", _("Open the list"), show=False),
    ]


class Pick(Widget, can_focus=True):
    """Shows the chosen one; left and right go through the choices, Enter lists them.

    A `Select` is six widgets, which took a form of many a second to open.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "open", _("Open the list"), show=False),
        Binding("right", "move(1)", show=False),
        Binding("left", "move(-1)", show=False),
    ]

    value: reactive[Any] = reactive(None, init=False)
    """The chosen one."""

    class Changed(Message):
        """Another one is chosen."""

        def __init__(self, pick: "Pick") -> None:
            super().__init__()
            self.pick = pick

        @property
        def control(self) -> "Pick":
            """The list."""
            return self.pick

    def __init__(self, options: Sequence[tuple[str, Any]], value: Any) -> None:
        """Take labels with their values, and the value to begin with."""
        super().__init__()
        self._options = options
        self.set_reactive(Pick.value, value)

    @property
    def _index(self) -> int:
        return next((index for index, (_label, value) in enumerate(self._options) if value == self.value), 0)

    def render(self) -> Content:
        """Draw the chosen one and the sign of a list."""
        label = Content(f" {self._options[self._index][0]}")
        return label.pad_right(max(0, self.size.width - label.cell_length - 2)) + Content("▼")

    def watch_value(self) -> None:
        """Tell of it."""
        self.post_message(self.Changed(self))

    def action_move(self, by: int) -> None:
        """Choose the one beside; stops at the ends."""
        index = min(len(self._options) - 1, max(0, self._index + by))
        self.value = self._options[index][1]

    def on_click(self) -> None:
        """Open the list."""
        self.action_open()

    def action_open(self) -> None:
        """List the choices."""

        def take(index: int | None) -> None:
            if index is not None:
                self.value = self._options[index][1]

        self.app.push_screen(PickList([label for label, _value in self._options], self._index), take)


class PickList(Dialog[int | None]):
    """Answers with the index of a label, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", _("Leave"), id="pick.leave")]

    def __init__(self, labels: Sequence[str], index: int, title: str = "") -> None:
        """Take the labels, and the index of the one that is chosen."""
        super().__init__()
        self._labels, self._begin, self._title = labels, index, title

    def compose(self) -> ComposeResult:
        """Draw the list in a box of its own."""
        with Vertical(classes="dialog pick") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content(_("Enter takes it, Esc leaves"))
            yield OptionList(*map(Content, self._labels))

    def on_mount(self) -> None:
        """Begin at the chosen one."""
        self.query_one(OptionList).highlighted = self._begin
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)
