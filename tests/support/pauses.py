"""A pause of Textual's pilot that ends when the app has nothing left to do, on a busy machine too.

Textual's own takes a process that gets no processor time for an idle one, so that a test looks too early
exactly where the machine is busy. Reads what Textual 8.2 keeps in `_message_queue`, `_next_callbacks` and
the screen's list of what is to be drawn.
"""

from typing import Any

from textual.app import App
from textual.message_pump import MessagePump
from textual.pilot import Pilot

_MOST_ROUNDS = 100
"""Rounds for an app that always has something to do, such as one whose handler waits for an answer."""

_textual_pause = Pilot.pause


async def pause(self: Pilot[Any], delay: float | None = None) -> None:
    """Do what Textual's pause does; then wait until all messages are handled and all is drawn."""
    await _textual_pause(self, delay)
    for _round in range(_MOST_ROUNDS):
        if _is_settled(self.app):
            return
        await self._wait_for_screen()  # a message that is being handled is in no queue
        self.app.screen._on_timer_update()  # draws now what a timer would draw soon


def _is_settled(app: App[Any]) -> bool:
    if app._exception is not None or not app.screen_stack:
        return True
    screen = app.screen
    drawn = not (
        screen._layout_required or screen._repaint_required or screen._dirty_widgets or screen._callbacks
    )
    return drawn and not any(map(_is_busy, (app, *screen.walk_children(with_self=True))))


def _is_busy(pump: MessagePump) -> bool:
    return pump.is_running and bool(pump._next_callbacks or pump.message_queue_size)
