"""What is told until a run begins, and how one ends that is stopped where nothing is lost: at once."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from engine.cluster.world import World
from engine.i18n import _
from engine.sanitize import one_line
from engine.training.beginning import Beginning
from tui.cli.interruptions import told_if_interrupted
from tui.cli.train_output import Reporter
from tui.console import err, say
from tui.terminal.signals import LEAVE_LIMIT_S
from tui.terminal.stream import UnblockedStream


@contextmanager
def getting_ready(world: World, is_silent: bool) -> Iterator[None]:
    """Say that several processes begin, as it takes a while until there is more to tell, or were stopped.

    Args:
        world: the processes that will train.
        is_silent: whether only the latter is said, as for one process alone.
    """
    if world.size > 1 and not is_silent:
        say(_beginning_of(world), err)
    with told_if_stopped():
        yield


@contextmanager
def told_if_stopped() -> Iterator[None]:
    """Say so if a signal ends what is done in the `with` block."""
    with told_if_interrupted(_stopped()):
        yield


def end_before_beginning(beginning: Beginning, show: Reporter, code: int) -> None:
    """End this process and all that it has started, on any thread; return if a run would lose something.

    What gets ready may be in native code, which nothing stops.

    Args:
        beginning: of the run.
        show: what tells of it.
        code: to exit with.
    """
    if not beginning.give_up():
        return
    try:
        if paused := beginning.pause():
            show.show(paused)
        show.close()
        if not paused:
            say(_stopped(), err)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, UnblockedStream):
                stream.finish(LEAVE_LIMIT_S)
            else:
                stream.flush()
        beginning.leave_nothing()  # last: whoever waits for the other processes would tell of their end
    finally:  # in any case: nothing else goes on any more
        os._exit(code)


def _beginning_of(world: World) -> str:
    if world.is_spread:
        names = ", ".join(one_line(world.name(rank), 60) for rank in range(world.size))
        return _("Getting ready on {names} …").format(names=names)
    return _("Getting ready with {n} processes of this machine …").format(n=world.size)


def _stopped() -> str:
    return _("Stopped while getting ready; no step was made")
