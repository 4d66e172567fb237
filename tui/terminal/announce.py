"""What tells somebody who looks elsewhere that a run has ended: the terminal's title, its bell, the desktop.

A terminal that does not know a control sequence may print it, or take it for another one, so each is sent
only where it is known to be understood. Progress (OSC 9;4) is sent nowhere: older versions of iTerm2 show it
as a notification.

Sources: xterm's control sequences (OSC 2; CSI 22 and 23 t, the stack of titles), iTerm2's and kitty's
documentation (OSC 9), those of WezTerm, foot and Ghostty (OSC 777, from rxvt-unicode).
"""

from collections.abc import Mapping

from engine.sanitize import one_line

BELL = "\a"
TITLE_KEPT = "\x1b[22;2t"
"""Puts the title that there is on the terminal's stack."""
TITLE_BACK = "\x1b]2;\x1b\\\x1b[23;2t"
"""Takes it from there; a terminal without a stack goes back to a title of its own."""
_LONGEST = 120
_WITH_TITLE = (
    *("xterm", "tmux", "screen", "rxvt", "alacritty", "foot", "wezterm", "ghostty", "konsole", "gnome"),
    *("vte", "st-", "iterm", "contour", "mintty", "putty", "nsterm", "mlterm"),
)
"""How `TERM` begins where OSC 2 is understood; not Linux's console, nor a vt100."""
_BETWEEN = ("TMUX", "STY", "ZELLIJ")
"""Set by programs that stand between this one and the terminal."""


def has_title(environment: Mapping[str, str]) -> bool:
    """Whether the terminal knows what a title is."""
    return environment.get("TERM", "").startswith(_WITH_TITLE)


def title(text: str) -> str:
    """Return what sets the terminal's title."""
    return f"\x1b]2;{one_line(text, _LONGEST)}\x1b\\"


def notification(text: str, about: str, environment: Mapping[str, str]) -> str:
    """Return what lets the desktop tell of something; empty where the terminal is not known to do that.

    Args:
        text: the news.
        about: what they are about, as a heading.
        environment: of this process.
    """
    text, about = one_line(text, _LONGEST), one_line(about, _LONGEST).replace(";", ",")
    match notifies_by(environment):
        case "777":
            return f"\x1b]777;notify;{about};{text}\x1b\\"
        case "9":
            return f"\x1b]9;{about}: {text}\x1b\\"
    return ""


def notifies_by(environment: Mapping[str, str]) -> str:
    """Return the number of the OSC that the terminal takes for a notification; empty if none is known."""
    term = environment.get("TERM", "")
    if term.startswith(("tmux", "screen")) or any(environment.get(name) for name in _BETWEEN):
        return ""
    program = environment.get("TERM_PROGRAM", "")
    is_wezterm = program == "WezTerm" or term == "wezterm" or "WEZTERM_PANE" in environment
    is_ghostty = program == "ghostty" or term == "xterm-ghostty"
    if is_wezterm or is_ghostty or term == "foot" or term.startswith("foot-"):
        return "777"
    is_iterm = "iTerm.app" in (program, environment.get("LC_TERMINAL")) or (
        environment.get("LC_TERMINAL") == "iTerm2"
    )
    is_kitty = term == "xterm-kitty" or "KITTY_WINDOW_ID" in environment
    return "9" if is_iterm or is_kitty else ""
