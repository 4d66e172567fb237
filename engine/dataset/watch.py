"""How far the reading of a file is, and whether it should go on."""

from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import TypeVar

from engine.errors import Cancelled

EVERY = 1000
"""Items between two looks at whether it should go on."""

Item = TypeVar("Item")
OnCount = Callable[[int], None]
"""Called with the number of items seen so far."""


def watched(items: Iterable[Item], on_progress: OnCount, cancel: Event) -> Iterator[Item]:
    """Yield items, telling now and then how many it were.

    Raises:
        Cancelled: `cancel` was set.
    """
    for count, item in enumerate(items, start=1):
        yield item
        if count % EVERY == 0:
            on_progress(count)
            if cancel.is_set():
                raise Cancelled
