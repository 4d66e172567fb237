"""Textual's terminal driver, for lines that stall or break: neither holds the app up."""

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from tui.terminal.announce import TITLE_BACK, TITLE_KEPT, title
from tui.terminal.keyboard import Keyboard
from tui.terminal.picture import Picture
from tui.terminal.stream import UnblockedStream

from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Resize
from textual.geometry import Size
from textual.message import Message

_LOOK_INTERVAL_S = 0.25
_KEY_LIMIT_S = 0.1
"""A pause after which Escape was a key of its own."""
_AT_ONCE = 65536
"""Most bytes that are read before what they mean is handed on."""
_FAREWELL_S = 1.0
_WIPE = "\x1b[H\x1b[J"


class PatientDriver(LinuxDriver):
    """Draws as fast as the terminal reads, and notices when it is gone.

    Textual's own output blocks its event loop once 30 frames wait, so that no
    key would be heard; its input thread reads a lost terminal without end, and
    takes parts of pastes for keys.
    """

    def __init__(self, app: App[Any], **options: Any) -> None:
        """Take what `LinuxDriver` takes."""
        super().__init__(app, **options)
        # Textual draws on the error stream, which may go to a file; the output is known to be a terminal.
        stream = sys.__stdout__ or sys.stdout
        self._output = UnblockedStream(stream.fileno(), on_caught_up=self._draw_again)
        self._file = self._output  # type: ignore[assignment]
        self._told_size = super()._get_terminal_size()
        """Columns and rows that the app was told last."""
        self._picture = Picture(*self._told_size)
        self._sync = ""
        """The beginning of a frame that is not sent before anything in it is."""
        self._ended = threading.Event()
        self._has_title = False
        """Whether the terminal's title is ours."""
        self._is_looked_after = False
        self._is_lent = False
        """Whether another program has the terminal."""

    def start_application_mode(self) -> None:
        """Draw and listen, and look after the terminal; again, once another program has had it."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        # Textual reads the size in the handler, which the next signal interrupts: the old one comes last.
        signal.signal(signal.SIGWINCH, lambda _number, _frame: self._look_at_size())
        signal.signal(signal.SIGTSTP, self._sigtstp_application)
        self._is_lent = False
        if not self._is_looked_after:
            self._is_looked_after = True
            threading.Thread(target=self._look_after_terminal, daemon=True, name="terminal").start()

    def write(self, data: str) -> None:
        """Send what changes what the terminal shows."""
        if data == SYNC_START:
            self._sync = data
        elif data == SYNC_END and self._sync:
            self._sync = ""
        elif data := self._picture.changes(data):
            super().write(f"{self._sync}{data}")
            self._sync = ""

    def _get_terminal_size(self) -> tuple[int, int]:
        """Return columns and rows; asked for at each start and whenever they change, which may spoil all."""
        self._told_size = super()._get_terminal_size()
        self._picture = Picture(*self._told_size)
        return self._told_size

    def process_message(self, message: Message) -> None:
        """Hand on; a terminal that has, or tells itself, a new size may have spoilt all too."""
        if isinstance(message, Resize):
            if message.size == self._told_size:
                return
            self._told_size = message.size.width, message.size.height
            self._picture = Picture(*message.size)
        super().process_message(message)

    def suspend_application_mode(self) -> None:
        """Leave the terminal to another program for a while; the output stream goes on afterwards.

        Meanwhile its Ctrl+Z has its usual effect, which is none where no shell could let the app go on;
        Textual would stop the app all the same, for ever.
        """
        self._is_lent = True
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        self.stop_application_mode()
        super().close()
        self._output.wait_written(_FAREWELL_S)

    def set_title(self, text: str) -> None:
        """Give the terminal a title; empty gives it back the one that it had."""
        if text:
            self.write(title(text) if self._has_title else TITLE_KEPT + title(text))
        elif self._has_title:
            self.write(TITLE_BACK)
        self._has_title = bool(text)

    def stop_application_mode(self) -> None:
        """Put the terminal back, its title too; where it has no second screen, what is drawn is wiped off.

        Frames that a slow line has not taken yet are in the way of that.
        """
        self._output.forget()
        self.set_title("")
        self.write(_WIPE)
        super().stop_application_mode()

    def run_input_thread(self) -> None:
        """Hand on keys, clicks and pastes until the app ends."""
        keyboard = Keyboard()
        while not self.exit_event.is_set():
            if select.select([self.fileno], [], [], _KEY_LIMIT_S)[0]:
                for message in keyboard.take(self._read()):
                    self.process_message(message)
            for message in keyboard.tick():
                self.process_message(message)

    def _read(self) -> bytes:
        """Return what was typed; of a lost terminal nothing, after a pause."""
        with suppress(OSError):
            if data := os.read(self.fileno, _AT_ONCE):
                return data
        self.exit_event.wait(_LOOK_INTERVAL_S)
        return b""

    def close(self) -> None:
        """Give what is left to draw a moment."""
        self._ended.set()
        super().close()
        self._output.finish(_FAREWELL_S)

    def _draw_again(self) -> None:
        """Draw everything: frames were left out while the terminal stalled."""

        def draw() -> None:
            self._picture = Picture(*super(PatientDriver, self)._get_terminal_size())
            self._app.refresh(layout=True)

        with suppress(RuntimeError):  # the app has just ended
            self._loop.call_soon_threadsafe(draw)

    def _look_after_terminal(self) -> None:
        while not self._ended.wait(_LOOK_INTERVAL_S):
            if not os.isatty(self.fileno):
                self.exit_event.set()
                self._app.on_hang_up()  # type: ignore[attr-defined]
                return
            self._look_at_size()

    def _look_at_size(self) -> None:
        """Tell a new size, in the order in which sizes are read, whether a signal told of it or not.

        Linux sends SIGWINCH before the size is the new one (`pty_resize` in drivers/tty/pty.c): who reads it
        at once may find the old one.
        """

        def tell() -> None:
            size = Size(*super(PatientDriver, self)._get_terminal_size())
            if not self._is_lent:
                self.process_message(Resize(size, size))

        with suppress(RuntimeError):  # the app has just ended
            self._loop.call_soon_threadsafe(tell)
