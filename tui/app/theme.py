"""The look in one place: colours, symbols and what they stand for.

Every colour is one of the 256 of xterm, so that Terminal.app shows the same.
A colour never carries a meaning alone: a symbol or a word stands beside it.
"""

from textual.theme import Theme

ACCENT = "#5fafd7"
OK = "#87af5f"
ATTENTION = "#d7af5f"
WRONG = "#d75f5f"
TEXT = "#d0d0d0"
MUTED = "#8a8a8a"

COLOURS = {"ok": OK, "note": MUTED, "warning": ATTENTION, "error": WRONG}
"""Colour of each check status and fault severity."""

THEME = Theme(
    name="mqlora",
    primary=ACCENT,
    secondary=ACCENT,
    accent=ACCENT,
    success=OK,
    warning=ATTENTION,
    error=WRONG,
    foreground=TEXT,
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    dark=True,
    variables={
        "muted": MUTED,
        "line": "#3a3a3a",
        "block-cursor-background": "#303030",
        "block-cursor-foreground": "#eeeeee",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#262626",
        "block-cursor-blurred-foreground": TEXT,
        "input-selection-background": "#005f87",
    },
)
"""Dark and calm, with one accent colour."""
