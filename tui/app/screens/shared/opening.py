"""A place is opened once: Textual draws up its styles six times before it is seen.

It parses the style sheets anew for the screen that is left and for the new one, applies them to all widgets
of both, tells the new one twice that it is shown, and applies them again each time, and for each class that
goes with the size of the terminal.
"""

from collections.abc import Iterator

from textual.events import Event, ScreenResume, ScreenSuspend
from textual.geometry import Size
from textual.screen import Screen

WITH_TABS = 120
"""From so many columns on the places have a line of their own."""


class OpenedOnce(Screen[None]):
    """Has the classes that go with its size from the beginning, and is told once that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._is_shown = False
        """Whether it was told so, and not since that it is no more."""
        self._was_shown = False
        for name in self._size_classes(self.app.size):
            self.add_class(name)
        if (before := _screen_before(self)) is not None:
            self._css_update_count = before._css_update_count  # the style sheets are no older than there

    def _size_classes(self, size: Size) -> Iterator[str]:
        yield from self._get_breakpoint_classes(size.width, self.HORIZONTAL_BREAKPOINTS or [])
        yield from self._get_breakpoint_classes(size.height, self.VERTICAL_BREAKPOINTS or [])
        if size.width >= WITH_TABS:
            yield "-tabs"

    async def on_event(self, event: Event) -> None:
        """Leave out what is told twice, and styles that the widgets have just been given."""
        if isinstance(event, ScreenSuspend):
            self._is_shown = False
        elif isinstance(event, ScreenResume):
            if self._is_shown:
                return
            event.refresh_styles = event.refresh_styles and self._was_shown
            self._is_shown = self._was_shown = True
        await super().on_event(event)


def _screen_before(screen: Screen[None]) -> Screen[object] | None:
    """Return the screen that is left; None at the start."""
    app = screen.app
    return app.screen if app._screen_stacks.get(app.current_mode) else None
