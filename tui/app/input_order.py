"""Keys, pastes and clicks one after another, each when all that follows from the one before is done."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import cast

from textual._queue import Queue
from textual.app import App, ScreenStackError
from textual.events import Event, InputEvent, Key, MouseMove, Paste
from textual.message import Message
from textual.message_pump import MessagePump

_WORK_S = 0.5
"""Of this thread's own computing, so much what follows from a key may take before the next key is handed on
all the same. A machine that gives it no core costs no patience."""
PATIENCE_S = 5.0
"""The same in time, for a widget that waits within a message."""
_MOST_S = 0.02
"""No single piece of work costs more patience, of either kind, such as the first visit of a place: what is
to be noticed is work that never comes to its end."""
_LOOK_S = 0.005
_QUICK_LOOKS = 50
"""Looks without a break between them; most that follows from a key is done by then."""


class Chosen(Event):
    """A command that was chosen in a list or follows from a dialog; it takes its turn as a key does."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action = action


class InTurnApp(App[int]):
    """Hands on what is typed in the order in which it was typed.

    Textual forwards keys to the queue of the widget with the focus and goes on to the
    next key: of keys that come together, as over a slow line, Ctrl+S saved what was
    there before the letters typed ahead of it, and what came after Enter, Tab or the
    number of a place went to the field that had the focus until then.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[Event] = deque()
        """What waits for its turn."""
        self._taker: MessagePump | None = None
        """The widget that took the event before as a letter for its text, or as a way of the mouse."""
        self._handing_on: asyncio.Task[None] | None = None

    async def on_event(self, event: Event) -> None:
        """Take an event, or let it wait for its turn."""
        if not isinstance(event, InputEvent | Paste) or event.is_forwarded:
            await super().on_event(event)
        elif not self._typed and (self._is_alike(event) or (self._is_last and self._is_at_rest)):
            self._taker = self._taker_of(event)
            await super().on_event(event)
        else:
            self._typed.append(event)
            self._begin_to_hand_on()

    def run_in_turn(self, action: str) -> None:
        """Run an action when what is open is composed, before what was typed meanwhile."""
        self._typed.appendleft(Chosen(action))
        self._begin_to_hand_on()

    async def _on_key(self, event: Key) -> None:
        """Keep a key that no widget took for the screen that has opened since, until that can take it."""
        if not self._is_composed:
            event.prevent_default()
            self._typed.appendleft(Key(event.key, event.character))
            self._begin_to_hand_on()

    def _begin_to_hand_on(self) -> None:
        if self._handing_on is None or self._handing_on.done():
            self._handing_on = asyncio.create_task(self._hand_on(), name="keys in turn")

    async def _hand_on(self) -> None:
        while self._typed:
            if not (self._is_composed and self._is_alike(self._typed[0])):
                await self._settle()
            done = asyncio.Event()
            self.call_later(self._take_next, done)
            await done.wait()

    async def _take_next(self, done: asyncio.Event) -> None:
        """Handle the event whose turn it is, unless a screen has just opened that is not composed."""
        try:
            if self._is_composed:
                event = self._typed.popleft()
                self._taker = self._taker_of(event)
                if isinstance(event, Chosen):
                    await self.run_action(event.action)
                else:
                    await super().on_event(event)
        finally:
            done.set()

    async def _settle(self) -> None:
        """Wait until no widget has anything left to do, or for as long as a user would.

        However long it takes, a screen gets nothing before its widgets are there: its keys look for them.
        """
        patience, work, looks = PATIENCE_S, _WORK_S, 0
        while (patience > 0 and work > 0) or not self._is_composed:
            began, computed = time.monotonic(), time.thread_time()
            await asyncio.sleep(0 if looks < _QUICK_LOOKS else _LOOK_S)
            patience -= min(_MOST_S, time.monotonic() - began)
            work -= min(_MOST_S, time.thread_time() - computed)
            looks += 1
            if is_waiting(self) and self._is_at_rest:
                return

    @property
    def _is_at_rest(self) -> bool:
        """Whether every widget that may be seen has done what it was told."""
        try:
            return all(is_waiting(pump) for pump in self._pumps())
        except ScreenStackError:  # between two screens, or before the first
            return False

    @property
    def _is_composed(self) -> bool:
        """Whether the present screen has its widgets."""
        try:
            return self.screen.is_mounted
        except ScreenStackError:  # between two screens, or before the first
            return False

    @property
    def _is_last(self) -> bool:
        """Whether nothing waits behind the message that the app handles now."""
        return _queue(self).empty() and self._pending_message is None

    def _pumps(self) -> Iterator[MessagePump]:
        yield from self.screen_stack
        yield from self.screen.walk_children()

    def _is_alike(self, event: Event) -> bool:
        """Whether an event goes the way of the one before, whose queue keeps the order."""
        return self._taker is not None and self._taker is self._taker_of(event)

    def _taker_of(self, event: Event) -> MessagePump | None:
        if isinstance(event, MouseMove):
            return self
        focused = self.focused
        if isinstance(event, Key) and focused and focused.check_consume_key(event.key, event.character):
            return focused
        return None


def is_waiting(pump: MessagePump) -> bool:
    """Whether a message pump has done all it was told; an empty queue means only that it began the last."""
    queue = _queue(pump)
    return pump._closing or pump._closed or (queue.empty() and bool(queue.ready_event._waiters))


def _queue(pump: MessagePump) -> Queue[Message | None]:
    return cast("Queue[Message | None]", pump._message_queue)
