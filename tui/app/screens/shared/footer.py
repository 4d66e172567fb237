"""The bottom line: the keys that make sense now, five of them or as many as a wide terminal has room for."""

from collections.abc import Callable

from tui.app.screens.shared.clicks import pressing
from tui.app.screens.shared.lines import SteadyText

from textual.binding import Binding
from textual.content import Content
from textual.keys import key_to_character
from textual.screen import Screen

MOST_KEYS = 5
"""Below `_WIDE` columns."""
_WIDE = 110
_HELP = "help"
"""What lists all other keys, and so is always among those shown."""


class KeyFooter(SteadyText):
    """Shows the first bindings that have `show` set and work now; the help has them all."""

    auto_links = False

    _is_due = False
    """Whether the keys are to be looked at again."""

    def on_mount(self) -> None:
        """Follow the focus and the state of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen[object]) -> None:
        """Draw once for all that has changed: while a place is built ten things do."""
        if not self._is_due:
            self._is_due = True
            self.call_later(self._draw)

    def on_resize(self) -> None:
        """Show as many keys as there is room for now."""
        self._draw()

    def _draw(self) -> None:
        self._is_due = False
        if self.is_attached:
            keys = _keys(self.screen, self.app.get_key_display)
            self.say(_line(keys, self.content_size.width or self.app.size.width))


def _keys(screen: Screen[object], display: Callable[[Binding], str]) -> dict[str, Content]:
    """Return what could be shown, by the action."""
    shown: dict[str, Content] = {}
    for name, active in screen.active_bindings.items():
        binding = active.binding
        if screen.focused and screen.focused.check_consume_key(name, key_to_character(name)):
            continue  # it would be typed
        if binding.show and active.enabled and binding.action not in shown:
            key = Content.styled(display(binding), "bold $accent")
            text = Content.assemble(key, " ", (binding.description, "$muted"))
            shown[binding.action] = pressing(text, name)
    return shown


def _line(keys: dict[str, Content], width: int) -> Content:
    """Return the first of the keys for which there is room, the help always among them."""
    names, most = list(keys), len(keys) if width >= _WIDE else MOST_KEYS
    while len(names) > 1 and (len(names) > most or _joined(keys, names).cell_length > width):
        del names[-2 if names[-1] == _HELP else -1]
    return _joined(keys, names)


def _joined(keys: dict[str, Content], names: list[str]) -> Content:
    return Content("   ").join([keys[name] for name in names])
