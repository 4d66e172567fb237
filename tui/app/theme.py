"""The looks in one place: colours and what they stand for.

Every colour of ours is one of the 256 of xterm, so that Terminal.app shows the same.
A colour never carries a meaning alone: a symbol or a word stands beside it.
"""

from collections.abc import Mapping
from contextlib import suppress

from engine.i18n import _

from rich.console import Console
from rich.style import Style
from rich.theme import Theme as RichTheme
from rich.theme import ThemeStackError
from textual.color import Color
from textual.theme import Theme

ACCENT = "$accent"
OK = "$success"
ATTENTION = "$warning"
WRONG = "$error"
TEXT = "$foreground"
MUTED = "$muted"
"""Names of colours, in Textual's styles and, with `teach`, in those of Rich."""

COLOURS = {
    "ok": OK,
    "note": MUTED,
    "warning": ATTENTION,
    "error": WRONG,
    "running": ACCENT,
    "paused": ATTENTION,
}
"""Colour of each check status, fault severity, and sign of a run."""

_NAMES = ("accent", "success", "warning", "error", "foreground", "muted", "soft")
_SHADES = ("shade-even", "shade-odd")


def _theme(name: str, dark: bool, colours: Mapping[str, str], **variables: str) -> Theme:
    """Return a theme of eight colours; `variables` are those that only this program's styles name."""
    accent = colours["accent"]
    return Theme(
        name=name,
        primary=accent,
        secondary=accent,
        accent=accent,
        success=colours["success"],
        warning=colours["warning"],
        error=colours["error"],
        foreground=colours["foreground"],
        background=colours["background"],
        surface=colours["surface"],
        panel=colours["panel"],
        dark=dark,
        variables={
            "veil": f"{colours['background']} 60%",
            "shade-even": colours["background"],
            "block-cursor-text-style": "none",
            "block-cursor-blurred-foreground": colours["foreground"],
            **{key.replace("_", "-"): value for key, value in variables.items()},
        },
    )


THEME = _theme(
    "mqlora",
    True,
    {
        "accent": "#5fafd7",
        "success": "#87af5f",
        "warning": "#d7af5f",
        "error": "#d75f5f",
        "foreground": "#d0d0d0",
        "background": "#121212",
        "surface": "#1c1c1c",
        "panel": "#262626",
    },
    muted="#8a8a8a",
    soft="#5f5f5f",
    line="#3a3a3a",
    thumb="#4e4e4e",
    field="#3a3a3a",
    shade_odd="#303030",
    block_cursor_background="#303030",
    block_cursor_foreground="#eeeeee",
    block_cursor_blurred_background="#262626",
    input_selection_background="#005f87",
)
"""Dark and calm, with one accent colour."""

LIGHT = _theme(
    "light",
    False,
    {
        "accent": "#005f87",
        "success": "#005f00",
        "warning": "#5f5f00",
        "error": "#af0000",
        "foreground": "#262626",
        "background": "#ffffff",
        "surface": "#eeeeee",
        "panel": "#e4e4e4",
    },
    muted="#585858",
    soft="#8a8a8a",
    line="#bcbcbc",
    thumb="#9e9e9e",
    field="#d7d7d7",
    shade_odd="#dadada",
    block_cursor_background="#d7d7d7",
    block_cursor_foreground="#000000",
    block_cursor_blurred_background="#e4e4e4",
    input_selection_background="#afd7ff",
)
"""The same on white."""

CONTRAST = _theme(
    "contrast",
    True,
    {
        "accent": "#00ffff",
        "success": "#00ff00",
        "warning": "#ffff00",
        "error": "#ffafaf",
        "foreground": "#ffffff",
        "background": "#000000",
        "surface": "#000000",
        "panel": "#000000",
    },
    muted="#e4e4e4",
    soft="#d0d0d0",
    line="#ffffff",
    thumb="#ffffff",
    field="#00005f",
    shade_odd="#1c1c1c",
    block_cursor_background="#00005f",
    block_cursor_foreground="#ffffff",
    block_cursor_blurred_background="#262626",
    input_selection_background="#005fff",
)
"""Nothing below 7 : 1 (WCAG 2.2, 1.4.6)."""

TERMINAL = Theme(
    name="terminal",
    primary="ansi_blue",
    accent="ansi_blue",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    ansi=True,
    variables={
        "surface": "ansi_default",
        "panel": "ansi_default",
        "boost": "ansi_default",
        "veil": "transparent",  # a dialog makes what is behind it faint
        "ansi-background": "ansi_default",  # Textual's own styles name these four, and make none of them
        "ansi-foreground": "ansi_default",
        "foreground-disabled": "ansi_bright_black",
        "surface-active": "ansi_default",
        "muted": "ansi_bright_black",
        "soft": "ansi_bright_black",
        "line": "ansi_bright_black",
        "thumb": "ansi_bright_black",
        "field": "ansi_default",
        "shade-even": "ansi_default",
        "shade-odd": "ansi_default",
        "block-cursor-background": "ansi_blue",
        "block-cursor-foreground": "ansi_bright_white",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "ansi_default",
        "input-selection-background": "ansi_blue",
    },
)
"""The terminal's own sixteen colours; what is muted is faint, see `tui.terminal.filter`."""

THEMES: dict[str, Theme] = {theme.name: theme for theme in (THEME, LIGHT, CONTRAST, TERMINAL)}
"""Those to choose from."""
THEME_WORDS: dict[str, str] = {
    "mqlora": _("dark"),
    "light": _("light"),
    "contrast": _("high contrast"),
    "terminal": _("the terminal's own colours"),
}
"""What they are called."""


def teach(console: Console, variables: Mapping[str, str]) -> None:
    """Let `console` know the colours of a theme by their names, such as `$muted`; the last taught count."""
    colours = {name: Color.parse(variables[name]).rich_color for name in (*_NAMES, *_SHADES)}
    styles = {f"${name}": Style(color=colours[name]) for name in _NAMES}
    styles |= {f"bold {name}": style + Style(bold=True) for name, style in styles.items()}
    styles |= {f"${name}": Style(bgcolor=colours[name]) for name in _SHADES}
    with suppress(ThemeStackError):
        console.pop_theme()
    console.push_theme(RichTheme(styles))
