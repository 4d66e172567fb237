"""What is said where Ctrl+C or another signal ends a command before it has done anything."""

from collections.abc import Iterator
from contextlib import contextmanager

from tui.console import err, say


@contextmanager
def told_if_interrupted(text: str) -> Iterator[None]:
    """Say `text` on stderr if a signal ends what is done in the `with` block, see `clean_up_on_signals`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        say(text, err)
        raise
