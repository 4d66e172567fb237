"""How far the reading of the data is, on stderr while a command works."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.i18n import _
from tui.console import err
from tui.words import progress_words

from rich.text import Text

if TYPE_CHECKING:
    from engine.dataset.convert.clean import OnCleanProgress  # imports numpy


@contextmanager
def data_progress() -> "Iterator[OnCleanProgress]":
    """Return what is to be told, which shows it where stderr is a terminal."""
    if not err.is_terminal:
        yield lambda stage, file, lines: None
        return
    with err.status(Text(_("Reading the data …"))) as status:
        yield lambda stage, file, lines: status.update(Text(progress_words(stage, file, lines)))
