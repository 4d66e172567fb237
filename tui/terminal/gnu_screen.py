"""GNU screen, where it is a terminal unlike others."""

import os
import select
import termios
import tty
from collections.abc import Mapping

from engine.errors import UserError
from engine.i18n import _

_LETTER = "é".encode()
_WHERE = b"\x1b[6n"
"""Asks where the cursor is; the answer is CSI row ; column R (ECMA-48)."""
_PATIENCE_S = 2.0


def is_in_screen(environment: Mapping[str, str]) -> bool:
    """Whether this process runs in a window of GNU screen."""
    return bool(environment.get("STY"))


def require_utf8(terminal: int) -> None:
    """Refuse a window that takes the bytes of a letter for control codes, and loses what follows.

    It is one where screen was started in a locale without UTF-8, such as C.

    Args:
        terminal: descriptor to read from and write to.

    Raises:
        UserError: the window takes one letter for two; one that does not say is not refused.
    """
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSANOW)  # what is typed ahead stays
        os.write(terminal, b"\r" + _LETTER + _WHERE + b"\r\x1b[K")
        answer = b""
        while not answer.endswith(b"R") and select.select([terminal], [], [], _PATIENCE_S)[0]:
            answer += os.read(terminal, 1)
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
    if answer.endswith(b";3R"):
        raise UserError(
            _("This window of GNU screen takes no UTF-8, so that nothing could be read in it"),
            _("run: screen -X utf8 on on, and then the app again (screen -U starts it that way)"),
        )
