"""Text that the mouse can press as a key is pressed."""

from textual.content import Content
from textual.style import Style


def pressing(text: Content, key: str) -> Content:
    """Return `text` so that a click on it presses `key`, named as bindings name it."""
    return doing(text, f"app.simulate_key('{key}')")


def doing(text: Content, action: str) -> Content:
    """Return `text` so that a click on it runs `action`."""
    return text.stylize(Style.from_meta({"@click": action}))
