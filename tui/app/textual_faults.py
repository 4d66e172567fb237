"""How the app ends that an exception ends, and that none shall end."""

import ast
import asyncio
import threading
from functools import wraps
from typing import Any

from textual.app import App
from textual.css.query import NoMatches
from textual.geometry import Size
from textual.widgets import OptionList

CLOSING_S = 5.0
"""Time that all widgets together have for the message that each of them is at, once the app ends."""


class EndingApp(App[int]):
    """Ends at a defect without a traceback, without one where it only ends, and in any case."""

    unclosed = False
    """Whether it ended without some of its widgets."""

    @property
    def defect(self) -> Exception | None:
        """The unexpected exception that ended the app, if one did."""
        return self._exception

    def _handle_exception(self, error: Exception) -> None:
        """End, unless that is under way: a screen may be taken down before it has found its widgets.

        Nor does it count what those raise that are left behind.
        """
        if not self.unclosed and not (self._exit and isinstance(error, NoMatches)):
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End without Textual's traceback: `tui.app.run` tells of the defect in one sentence."""
        self._close_messages_no_wait()

    async def _shutdown(self) -> None:
        """Take all down, but wait no longer for a widget that waits, within a message, for what never comes.

        It is cancelled when the event loop ends. What has something to save is the engine's.
        """
        closing = asyncio.create_task(super()._shutdown(), name="closing")
        _closed, still = await asyncio.wait([closing], timeout=CLOSING_S)
        self.unclosed = bool(still)
        if not still:
            await closing  # raises what it raised
        elif self._driver:
            self._driver.close()


_LEAST_WIDTH = 8
"""Columns that a list is measured with at least: nobody sees what is narrower, with its borders."""
_move_page = OptionList._move_page
_content_height = OptionList.get_content_height


def patch_lists() -> None:
    """Let Page up and Page down do nothing in a list that has no lines, and measure none without columns.

    Textual raises a `KeyError` and a `ValueError` there.
    """
    OptionList._move_page = _move_page_if_any  # type: ignore[method-assign,assignment]
    OptionList.get_content_height = _height_of_some_width  # type: ignore[method-assign,assignment]


def _height_of_some_width(options: OptionList, container: Size, viewport: Size, width: int) -> int:
    return _content_height(options, container, viewport, max(width, _LEAST_WIDTH))


def _move_page_if_any(options: OptionList, direction: Any) -> None:
    if options._index_to_line:
        _move_page(options, direction)


_parse, _parsing = ast.parse, threading.RLock()


def patch_ast() -> None:
    """Let one thread at a time make syntax trees, as Textual does for keys and matplotlib for charts.

    Up to Python 3.12 all threads count their depth in one place, and a thread that another one interrupts
    there, as where garbage is collected, gets a `SystemError` (CPython, `PyAST_mod2obj`).
    """
    ast.parse = _parse_alone


@wraps(_parse)
def _parse_alone(*given: Any, **named: Any) -> Any:
    with _parsing:
        return _parse(*given, **named)
