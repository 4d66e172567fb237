"""Textual's lists of options, also those that Textual makes itself, in a terminal without room for them."""

from typing import Any

from textual.widgets import OptionList

_move_page = OptionList._move_page


def mend_lists() -> None:
    """Let Page up and Page down do nothing in a list that has no lines: Textual raises a `KeyError`."""
    OptionList._move_page = _move_page_if_any  # type: ignore[method-assign,assignment]


def _move_page_if_any(options: OptionList, direction: Any) -> None:
    if options._index_to_line:
        _move_page(options, direction)
