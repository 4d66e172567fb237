"""The other processes of a run, which start together with a log between them, and end together."""

import os
from contextlib import ExitStack, suppress
from typing import Self

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
        self._log_is_new = False

    def __enter__(self) -> Self:
        """Start them.

        Raises:
            UserError: one cannot be started; then none is left.
        """
        self._project.make_run_dir()
        self._log_is_new = not os.path.lexists(self._project.log_file)
        log = self._resources.enter_context(open_own(self._project.log_file, "ab"))
        self._resources.callback(self._drop_log)
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

    def kill(self) -> None:
        """End them at once, on any thread, whatever they do."""
        for peer in self.peers:
            peer.kill()
        self._drop_log()

    def _end(self) -> None:
        for peer in self.peers:
            peer.channel.send("end")
        for peer in self.peers:
            peer.end()

    def _drop_log(self) -> None:
        """Take the log away again if it is new and nobody wrote a word."""
        with suppress(OSError):
            if self._log_is_new and not self._project.log_file.stat().st_size:
                self._project.log_file.unlink()
