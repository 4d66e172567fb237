"""Check of the terminal."""

import os
import shutil
import sys
from collections.abc import Mapping

from engine.hardware.command import Run, run_command
from engine.hardware.report import Check
from engine.i18n import _

SMALLEST_TERMINAL = (80, 24)
_TMUX_UTF8 = ["tmux", "display-message", "-p", "#{client_utf8}"]
"""Prints 0 where the terminal that tmux draws on gets no UTF-8 from it (its manual, on formats)."""


def check_terminal(
    environment: Mapping[str, str] | None = None,
    is_tty: bool | None = None,
    size: tuple[int, int] | None = None,
    run: Run = run_command,
) -> Check:
    """Check that the terminal is large enough and shows all signs. Without one there is nothing to check."""
    environment = os.environ if environment is None else environment
    if not (sys.stdout.isatty() if is_tty is None else is_tty):
        return Check("terminal", _("Terminal"), _("none (output goes to a file or a pipe)"), "ok")
    columns, lines = size or shutil.get_terminal_size()
    place = _("SSH") if {"SSH_CONNECTION", "SSH_TTY"} & set(environment) else _("local")
    value = f"{place}, {columns}x{lines}, {_colours(environment)}"
    if columns < SMALLEST_TERMINAL[0] or lines < SMALLEST_TERMINAL[1]:
        detail = _("The screens are made for 80x24 and larger")
        return Check("terminal", _("Terminal"), value, "warning", detail, _("enlarge the window"))
    if environment.get("TMUX") and run(_TMUX_UTF8).strip() == "0":
        detail = _("tmux was started without UTF-8, and draws signs and curves as _ here")
        fix = _("leave tmux with Ctrl+B d, and come back with: tmux -u attach")
        return Check("terminal", _("Terminal"), value, "warning", detail, fix)
    return Check("terminal", _("Terminal"), value, "ok")


def _colours(environment: Mapping[str, str]) -> str:
    """Return the colours that the terminal announces, in words."""
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR") or term in ("", "dumb"):
        return _("no colours")
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return _("16 million colours")
    return _("256 colours") if "256color" in term else _("16 colours")
