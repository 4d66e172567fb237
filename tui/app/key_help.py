"""Every key that works on a screen at this moment, each on one line, made from the bindings themselves."""

from dataclasses import dataclass
from typing import Any

from engine.i18n import _

from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, OptionList, TextArea

_MOVING = {
    ("up", "down"): _("Go up and down"),
    ("pageup", "pagedown"): _("Go a page up and down"),
    ("home", "end"): _("Go to the beginning and to the end"),
    ("left", "right"): _("Go left and right"),
    ("tab", "shift+tab"): _("Go to the next part of the screen and back"),
}
"""What keys do that Textual's widgets bind."""
_UNSENT = ("super+", "alt+", "ctrl+shift+")
"""What no terminal, or hardly one, sends."""


@dataclass(frozen=True)
class KeyLine:
    """Keys that do the same, and what that is."""

    keys: tuple[str, ...]
    """As bindings name them."""
    text: str


def own_lines(bindings: dict[str, ActiveBinding], everywhere: bool, screen: Screen[Any]) -> list[KeyLine]:
    """Return a line for each action that this program binds: those of the app, or those of the screen."""
    found: dict[tuple[object, str], list[str]] = {}
    texts: dict[tuple[object, str], str] = {}
    for key, active in bindings.items():
        if is_own(active) and (active.node is screen.app) == everywhere:
            action = (active.node, active.binding.action)
            found.setdefault(action, []).append(key)
            texts[action] = active.tooltip or active.binding.description
    return [KeyLine(tuple(keys), texts[action]) for action, keys in found.items()]


def moving_lines(bindings: dict[str, ActiveBinding], screen: Screen[Any]) -> list[KeyLine]:
    """Return a line for each pair of keys that moves the cursor, the text or the focus."""
    return [
        KeyLine(keys, text)
        for pair, text in _MOVING.items()
        if (keys := tuple(key for key in pair if key in bindings and _moves(key, bindings[key], screen)))
    ]


def typing_lines(bindings: dict[str, ActiveBinding], screen: Screen[Any]) -> list[KeyLine]:
    """Return a line for each action of the input line that has the focus."""
    if not isinstance(screen.focused, Input | TextArea):
        return []
    moving = {key for line in moving_lines(bindings, screen) for key in line.keys}
    found: dict[str, list[str]] = {}
    for key, active in bindings.items():
        is_edit = active.node is screen.focused and not (is_own(active) or _scrolls(active))
        if is_edit and key not in moving and not key.startswith(_UNSENT):
            found.setdefault(active.binding.description, []).append(key)
    return [KeyLine(tuple(keys), _(text)) for text, keys in found.items()]


def is_own(active: ActiveBinding) -> bool:
    """Whether this program binds the key, and it works now."""
    return active.enabled and bool(active.binding.id and active.binding.description)


def _name(active: ActiveBinding) -> str:
    return active.binding.action.partition("(")[0].rpartition(".")[2]


def _scrolls(active: ActiveBinding) -> bool:
    return _name(active).startswith(("scroll_", "page_"))


def _moves(key: str, active: ActiveBinding, screen: Screen[Any]) -> bool:
    """Whether a key that a widget binds without a name moves anything now."""
    if is_own(active) or not active.enabled:
        return False
    if key in ("tab", "shift+tab"):
        return any(widget is not screen.focused for widget in screen.focus_chain)
    node = active.node
    if not isinstance(node, Widget):
        return False
    if not _scrolls(active):
        return True
    if key in ("left", "right"):
        return node.allow_horizontal_scroll
    return isinstance(node, OptionList) or (node.is_scrollable and node.allow_vertical_scroll)
