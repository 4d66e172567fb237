"""Textual's lists of options, also those that Textual makes itself, in a terminal without room for them."""

from typing import Any

from textual.geometry import Size
from textual.widgets import OptionList

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
