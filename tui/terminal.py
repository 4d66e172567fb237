"""Terminal settings that outlive the program that changed them."""

import contextlib
import os
import select
import termios
from dataclasses import dataclass
from typing import Any

# Everything that Textual's driver switches on, off again: a frame begun, no wrapping, reports of size,
# paste, mouse and focus, the keyboard protocol (of the alternate screen), that screen, the hidden cursor.
_RESET = (
    b"\x1b[?2026l\x1b[?7h\x1b[?2048l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
    b"\x1b[?1016l\x1b[?1004l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[0m\r\n"
)
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class TerminalSettings:
    """The settings of the terminal this process was started on, if any."""

    attributes: list[Any] | None
    """As `termios.tcgetattr` returns them."""

    @classmethod
    def save(cls) -> "TerminalSettings":
        """Remember the present settings."""
        try:
            return cls(termios.tcgetattr(0))
        except (termios.error, OSError):
            return cls(None)

    def restore(self) -> None:
        """Put the settings back and undo what a full-screen program switched on; a lost terminal is left."""
        if self.attributes is None:
            return
        with contextlib.suppress(termios.error, OSError):
            # Flushing drops what was typed at, and mouse reports meant for, the program that is gone.
            termios.tcsetattr(0, termios.TCSAFLUSH, self.attributes)
        with contextlib.suppress(OSError, ValueError):
            if os.isatty(1) and select.select([], [1], [], _PATIENCE_S)[1]:
                os.write(1, _RESET)


def is_changed(settings: TerminalSettings) -> bool:
    """Whether the terminal is set otherwise than when `settings` were saved."""
    return settings.attributes is not None and TerminalSettings.save().attributes != settings.attributes


def read_key() -> str:
    """Wait for one key on the terminal and return it; empty at Ctrl+C and at its end."""
    before = termios.tcgetattr(0)
    changed = termios.tcgetattr(0)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    try:
        termios.tcsetattr(0, termios.TCSADRAIN, changed)
        return os.read(0, 1).decode("ascii", errors="replace")
    except (OSError, KeyboardInterrupt):
        return ""
    finally:
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(0, termios.TCSADRAIN, before)
