"""Terminal settings that outlive the program that changed them."""

import contextlib
import os
import select
import termios
from dataclasses import dataclass
from typing import Any

# Everything that Textual's driver switches on, off again: a frame begun, no wrapping, reports of size,
# paste, mouse and focus, the keyboard protocol (of the alternate screen), that screen, the hidden cursor; and
# the title that the app had put on the terminal's stack (where it has not, there is none to take).
_RESET = (
    b"\x1b[?2026l\x1b[?7h\x1b[?2048l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    b"\x1b[?1016l\x1b[?1004l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m\x1b[23;2t\r\n"
)
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class TerminalSettings:
    """The settings of the terminal this process was started on, if it is its to set."""

    attributes: list[Any] | None
    """As `termios.tcgetattr` returns them."""

    @classmethod
    def save(cls) -> "TerminalSettings":
        """Remember the present settings."""
        return cls(_attributes())

    @property
    def are_changed(self) -> bool:
        """Whether the terminal is set otherwise now."""
        return self.attributes is not None and _attributes() not in (None, self.attributes)

    def restore(self, full_screen: bool) -> None:
        """Put the settings back; a lost terminal, and one that has another foreground job, is left alone.

        Args:
            full_screen: also undo what a full-screen program switched on.
        """
        if self.attributes is None or not is_foreground():
            return
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(0, termios.TCSANOW, self.attributes)
            # What was typed at, and the mouse reports meant for, the program that is gone.
            termios.tcflush(0, termios.TCIFLUSH)
        with contextlib.suppress(OSError, ValueError):
            if full_screen and os.isatty(1) and select.select([], [1], [], _PATIENCE_S)[1]:
                os.write(1, _RESET)


def is_foreground() -> bool:
    """Whether this process may set the terminal: a background job would be stopped for trying."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _attributes() -> list[Any] | None:
    try:
        return termios.tcgetattr(0) if is_foreground() else None
    except (termios.error, OSError):
        return None
