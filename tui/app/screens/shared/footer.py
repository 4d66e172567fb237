"""The bottom line: at most five keys that make sense now."""

from collections.abc import Callable

from tui.app.screens.shared.clicks import pressing
from tui.app.screens.shared.lines import SteadyText

from textual.binding import Binding
from textual.content import Content
from textual.keys import key_to_character
from textual.screen import Screen

MOST_KEYS = 5


class KeyFooter(SteadyText):
    """Shows the first five bindings that have `show` set and work now; the help has them all."""

    auto_links = False

    def on_mount(self) -> None:
        """Follow the focus and the state of the screen."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.say(_line(screen, self.app.get_key_display))


def _line(screen: Screen[object], display: Callable[[Binding], str]) -> Content:
    shown: dict[str, Content] = {}
    for name, active in screen.active_bindings.items():
        binding = active.binding
        if screen.focused and screen.focused.check_consume_key(name, key_to_character(name)):
            continue  # it would be typed
        if binding.show and active.enabled and binding.action not in shown:
            key = Content.styled(display(binding), "bold $accent")
            text = Content.assemble(key, " ", (binding.description, "$muted"))
            shown[binding.action] = pressing(text, name)
    return Content("   ").join(list(shown.values())[:MOST_KEYS])
