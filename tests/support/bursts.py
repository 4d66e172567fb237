"""Keys that arrive faster than they are handled."""

from tui.app.app import MqloraApp

from textual.events import Key
from textual.keys import _character_to_key

NAMED = {
    "\r": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\x13": "ctrl+s",
    "↓": "down",
    "↑": "up",
    "⎋": "escape",
}


def burst(app: MqloraApp, keys: str) -> None:
    """Type keys faster than any of them can be handled, as a slow line delivers them."""
    for key in keys:
        named = NAMED.get(key)
        app.post_message(Key(named, None) if named else Key(_character_to_key(key), key))
