"""A place is opened once: Textual draws up its styles six times before it is seen, and draws it twice.

It parses the style sheets anew for the screen that is left and for the new one, applies them to all widgets
of both, tells the new one twice that it is shown, and applies them again each time, and for each class that
goes with the size of the terminal. While a place is built nothing is painted, but all is drawn.
"""

from collections.abc import Callable, Iterator

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
        self._when_painted: list[Callable[[], object]] = []
        """What is to be done when it is built and painted."""
        self.add_class(*self._size_classes(self.app.size), update=False)  # its styles are yet to come
        self._css_update_count = self.app._css_update_count  # the style sheets are the app's present ones

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

    def after_picture(self, do: Callable[[], object]) -> None:
        """Do something as soon as the place is painted: threads that compute would hold its picture back.

        While a place is built, Textual's `call_after_refresh` does not wait for that.
        """
        if self.app._batch_count:
            self._when_painted.append(do)
        else:
            self.call_after_refresh(do)

    def _compositor_refresh(self) -> None:
        """Draw and paint what has changed, unless nothing is painted now; all is to be painted afterwards."""
        if self.app._batch_count:
            return
        super()._compositor_refresh()
        waiting, self._when_painted = self._when_painted, []
        for do in waiting:
            self.call_later(do)
