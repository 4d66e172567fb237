"""Every key of every place and dialog, found on the screens themselves, pressed one after the other."""

import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from itertools import count
from pathlib import Path

from tests.support.fake_engine import shown
from tests.support.looks import faults_of
from tests.support.situations import Size, app_in, settled, visit
from tests.support.tiny import files_below
from tui.app.app import MqloraApp
from tui.app.key_help import is_own
from tui.app.keys import PLACES, going_to
from tui.app.screens.shared.base import PlaceScreen

import pytest
from textual.binding import ActiveBinding
from textual.keys import key_to_character
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

DEEPEST = 4
"""Keys from a place to what they open, from there to the next and so on."""
_OF_LISTS = ("enter", "up", "down", "space", "tab")
"""Keys that Textual binds in lists and forms."""
_GOING = tuple(map(going_to, PLACES))
_OVER_AT_ONCE = {
    ("HardwareScreen", "check"),
    ("ReportScreen", "charts"),
    ("ReportScreen", "suggestion(2)"),
}
"""What shows only that it is under way, which stand-ins never are; the suggestion is to draw charts."""
_ALONG = re.compile(r"-?1\b|'(left|right|first|last)'")
"""Which way something moves, which it cannot do at that end."""
KeyPath = tuple[str, ...]
"""A place and the keys that are pressed from there on."""
Spot = tuple[str, str]
"""A screen and what has the focus there, by which keys are known."""


class Walk:
    """Tries the keys in one situation at one size; what a key changes beyond the screen ends its app."""

    def __init__(self, situation: str, size: Size, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take what `app_in` takes; each app has a folder of its own below `folder`."""
        self._asked = situation, folder, size, monkeypatch
        self._numbers = count()
        self.faults: list[str] = []
        """What is wrong, with the keys that led there."""
        self.pressed = 0
        self._known: set[Spot] = set()
        self._tried: set[tuple[str, str, str]] = set()
        self._silent: dict[tuple[str, str], list[KeyPath]] = defaultdict(list)
        self._heard: set[tuple[str, str]] = set()
        self._running: AsyncExitStack | None = None
        self._pilot: Pilot[int]
        self._first: object = None
        """What a key may change, as it was when the app started."""
        self._at: object = None

    async def through(self, *modes: str) -> None:
        """Press every key of these places and of all that opens there."""
        paths: deque[KeyPath] = deque((mode,) for mode in modes)
        try:
            while paths:
                path = paths.popleft()
                paths.extend([(*path, key) async for key in self._press_all(path)])
            self.faults += [
                f"{screen} {action}: nothing changes on the screen after {', '.join(map(' '.join, tried))}"
                for (screen, action), tried in self._silent.items()
                if (screen, action) not in self._heard | _OVER_AT_ONCE
                and not await self._is_heard_first(*tried[0])
            ]
        finally:
            await self._end()

    async def _is_heard_first(self, *path: str) -> bool:
        """Whether the last key changes the screen before another one has said the same."""
        self._at = None
        await self._go(path[:-1])
        before = self._seen()
        await self._pilot.press(path[-1])
        await settled(self._pilot)
        return self._seen() != before

    async def _press_all(self, path: KeyPath) -> AsyncIterator[str]:
        """Press each key where a path leads; yield those that lead on from there."""
        await self._go(path)
        self._known.add(self._spot)
        for key, active in list(self._offered()):
            await self._go(path)
            if await self._press(path, key, active) and self._leads_on(path):
                self._known.add(self._spot)
                yield key

    def _leads_on(self, path: KeyPath) -> bool:
        """Whether keys are to be pressed here too; those of another place are reached from itself."""
        is_of_place = len(self._app.screen_stack) > 1 or self._app.current_mode == path[0]
        return is_of_place and self._spot not in self._known and len(path) <= DEEPEST

    async def _press(self, path: KeyPath, key: str, active: ActiveBinding) -> bool:
        """Press a key and look at what comes of it; False if the app is gone."""
        app, before = self._app, self._seen()
        known_as = type(app.screen).__name__, _ALONG.sub("*", active.binding.action)
        tried = *path, key
        where = " ".join(tried)
        self.pressed += 1
        try:
            await self._pilot.press(key)
            if app._exit:
                self._heard.add(known_as)
                await self._end()
                return False
            await settled(self._pilot)
        except Exception as error:
            self.faults.append(f"{where}: {error!r}")
            await self._end()
            return False
        if self._seen() != before:
            self._heard.add(known_as)
        elif is_own(active) and not isinstance(active.node, Input | TextArea):
            self._silent[known_as].append(tried)
        if "Unexpected error" in shown(app):
            self.faults.append(f"{where}:\n{shown(app)}")
        self.faults += [f"{where}: {fault}" for fault in faults_of(app)]
        return True

    def _offered(self) -> Iterator[tuple[str, ActiveBinding]]:
        """Yield the keys that do something here and were not tried yet on this screen with this focus."""
        app, (screen, focus) = self._app, self._spot
        here = going_to(app.current_mode)
        found = set()
        for key, active in app.screen.active_bindings.items():
            action = active.binding.action
            wanted = is_own(active) or (active.enabled and key in _OF_LISTS)
            if not wanted or self._is_typed(key) or (active.node, action) in found or action == here:
                continue
            if active.node is app and not isinstance(app.screen, PlaceScreen):
                continue
            goes = any(going in action for going in _GOING)  # the same everywhere
            tried = ("", "", key) if goes else (screen, focus, key)
            if tried not in self._tried:
                self._tried.add(tried)
                found.add((active.node, action) if is_own(active) else (active.node, key))
                yield key, active

    def _is_typed(self, key: str) -> bool:
        focused = self._app.screen.focused
        return focused is not None and focused.check_consume_key(key, key_to_character(key))

    @property
    def _app(self) -> MqloraApp:
        app = self._pilot.app
        assert isinstance(app, MqloraApp)
        return app

    @property
    def _spot(self) -> Spot:
        screen = self._app.screen
        return type(screen).__name__, type(screen.focused).__name__

    def _seen(self) -> object:
        """Return what stands on the screen, with its colours."""
        return [list(strip) for strip in self._app.screen._compositor.render_strips()]

    def _changeable(self) -> object:
        """Return what a key may change beyond the screen."""
        app = self._app
        return app.training.status().phase, app.config, files_below(app.project.root)

    async def _go(self, path: KeyPath) -> None:
        """Be where a path leads; in a new app if a key has changed more than the screen."""
        if self._running and self._changeable() != self._first:
            await self._end()
        if self._running is None:
            self._running = AsyncExitStack()
            self._pilot = await self._running.enter_async_context(self._started())
            self._first, self._at = self._changeable(), None
        if self._at != (path, self._app.screen, self._spot):
            await self._leave_dialogs()
            await visit(self._pilot, path[0])
            for key in path[1:]:
                await self._pilot.press(key)
                await settled(self._pilot)
            self._at = path, self._app.screen, self._spot
        if isinstance(self._app.screen, PlaceScreen):
            self._app.screen.clear_error()
            await self._pilot.pause()

    def _started(self) -> AbstractAsyncContextManager[Pilot[int]]:
        situation, folder, size, monkeypatch = self._asked
        return app_in(situation, folder / str(next(self._numbers)), size, monkeypatch)

    async def _leave_dialogs(self) -> None:
        """Press Esc until the place is seen: that the app answers is seen by this too."""
        app = self._app
        for _time in range(2 * DEEPEST):
            if len(app.screen_stack) > 1:
                await self._pilot.press("escape")
                await settled(self._pilot)
        assert len(app.screen_stack) == 1, f"Esc does not lead out of {app.screen}:\n{shown(app)}"

    async def _end(self) -> None:
        running, self._running = self._running, None
        if running:
            await running.aclose()
