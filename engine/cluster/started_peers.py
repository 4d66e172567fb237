"""The other processes of a run, which start together with a log between them, and end together."""

import os
from contextlib import ExitStack, suppress
from typing import Any, Self

from engine.cluster.peer import Peer
from engine.cluster.world import World
from engine.errors import UserError
from engine.files import open_own
from engine.project import Project


class StartedPeers:
    """All processes of a world but the owner; use it as a context manager: its end is theirs."""

    def __init__(self, world: World, project: Project) -> None:
        """Start nothing yet.

        Args:
            world: who takes part.
            project: of the run, whose log gets what they write on their error output.
        """
        self.peers: list[Peer] = []
        """In the order of ranks, from 1."""
        self._world = world
        self._project = project
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        """Start them.

        Raises:
            UserError: one cannot be started; then none is left.
        """
        self._project.make_run_dir()
        is_new = not os.path.lexists(self._project.log_file)
        log = self._resources.enter_context(open_own(self._project.log_file, "ab"))
        self._resources.callback(self._drop_log if is_new else lambda: None)
        self._resources.callback(self._end)
        try:
            for rank in range(1, self._world.size):
                self.peers.append(Peer(self._world, rank, self._project, log))
        except UserError:
            self._resources.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """End them."""
        self._resources.close()

    def tell(self, kind: str, **values: Any) -> None:
        """Send all the same message."""
        for peer in self.peers:
            peer.channel.send(kind, **values)

    def _end(self) -> None:
        self.tell("end")
        for peer in self.peers:
            peer.end()

    def _drop_log(self) -> None:
        """Take the log away again in which nobody wrote a word."""
        with suppress(OSError):
            if not self._project.log_file.stat().st_size:
                self._project.log_file.unlink()
