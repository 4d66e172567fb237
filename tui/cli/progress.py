"""How far a command is, on stderr: a bar on a terminal, else a line for each stage."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tui.console import err, say

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

OnProgress = Callable[[str, float], None]
"""Called with what is being done, and which share of it is."""


@contextmanager
def stages(first: str) -> Iterator[OnProgress]:
    """Show what is being done and how much of it is.

    Args:
        first: the stage before anything else is told.
    """
    if not err.is_terminal:
        yield _say_stages()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(first, total=1.0)
        yield lambda stage, share: bar.update(task, description=stage, completed=share)


def _say_stages() -> OnProgress:
    told = ""

    def on_progress(stage: str, _share: float) -> None:
        nonlocal told
        if stage != told:
            told = stage
            say(f"{stage} …", err)

    return on_progress
