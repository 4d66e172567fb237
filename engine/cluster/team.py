"""The processes of a run as its owner sees them: started, reached, connected, summed over, ended.

All decisions are the owner's: the others make the step that they are told to, so pausing, rolling back
and ending need no agreement. A thread watches over the others and over how long a sum takes; it
calls off what would wait for ever, and names who was missing.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from engine.backend import mx
from engine.cluster.channel import Message
from engine.cluster.collective import Ring, free_ports
from engine.cluster.conversation import Conversation
from engine.cluster.lost import Loss, exit_at_once
from engine.cluster.started_peers import StartedPeers
from engine.cluster.watch import Beat, Watch
from engine.cluster.world import PeerLost, World
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line

_LOOK_S = 0.1
"""Between two looks at whether all have begun to answer."""


class Team:
    """The processes of a run; use it as a context manager: its end is theirs."""

    def __init__(
        self,
        world: World,
        project: Project,
        leave: Callable[[PeerLost], None] = exit_at_once,
        goes_on: Callable[[int | None], bool] = lambda _rank: False,
        beat: Beat = lambda _is_over: None,
    ) -> None:
        """Start nothing yet.

        Args:
            world: who takes part.
            project: of the run.
            leave: ends this process, on any thread, where a sum cannot be called off.
            goes_on: whether the run goes on by itself without the process of a number.
            beat: see `Watch`.
        """
        self.world = world
        self._project = project
        self._started = StartedPeers(world, project)
        self._watch = Watch(beat)
        self.loss = Loss(self._started.peers, self._watch, leave, goes_on)
        """Who is gone."""
        self.others = Conversation(self._started.peers, self._watch, self.loss)
        """What is said to the other processes."""
        self._ring: Ring | None = None
        self._resources = ExitStack()

    def __enter__(self) -> "Team":
        """Start the other processes.

        Raises:
            UserError: one cannot be started.
        """
        self._resources.enter_context(self._started)
        self._resources.callback(self._watch.end)
        self._watch.begin(self._started.peers, self.loss.lose)
        return self

    def __exit__(self, *_error: object) -> None:
        """End the other processes."""
        self._resources.close()

    def kill(self) -> None:
        """End the other processes at once, on any thread; this one is to end as well."""
        self._watch.end()  # nobody tells that they are lost
        self._started.kill()

    @property
    def folder(self) -> str:
        """The project's, as it is on other machines too unless the host file says another."""
        return str(self._project.root.resolve())

    def reach(self, stop: threading.Event) -> None:
        """Wait until processes on other machines have begun to answer.

        Args:
            stop: set it on another thread to wait no longer.

        Raises:
            PeerLost: one of them is gone.
        """
        away = [peer for peer in self._started.peers if not self.world.hosts[peer.rank].is_here]
        while not (all(peer.channel.was_heard for peer in away) or stop.wait(_LOOK_S)):
            self.loss.require_none()
        self.loss.require_none()

    def connect(self) -> None:
        """Let all processes find each other, once they have loaded the model.

        Raises:
            PeerLost: one of them is gone.
            UserError: they cannot be connected.
        """
        ready = self.others.hear("ready")
        ports = [free_ports(self.world.addresses[0]), *(_ports(message) for message in ready)]
        devices = [list(host.rdma) for host in self.world.hosts]
        self.others.tell("connect", ports=ports, devices=devices, backend=self.world.backend)
        try:
            with self._watch.summing():
                self._ring = self.loss.ring = Ring(self.world.backend, 0, ports, devices)
        except RuntimeError as error:
            raise self.loss.behind(error) or UserError(
                _("The processes cannot be connected by {backend}: {reason}").format(
                    backend=self.world.backend, reason=one_line(str(error), 200)
                ),
                _("choose another backend in the host file, or train on one machine"),
            ) from None
        self.others.hear("connected")
        self._watch.are_connected = True

    @property
    def ring(self) -> Ring:
        """The connected group."""
        assert self._ring is not None
        return self._ring

    def sum(self, array: Any) -> Any:
        """Return the sum over all processes, see `Ring.sum`.

        Raises:
            PeerLost: one of them is gone; nothing was changed.
        """
        if self.ring.is_on_device:
            return self.ring.sum(array)
        mx.eval(array)
        self.others.meet()
        return self.timed(lambda: self.ring.sum(array))

    def timed(self, work: Callable[[], Any]) -> Any:
        """Do what waits for all other processes, and let it be watched.

        Raises:
            PeerLost: one of them is gone.
        """
        try:
            with self._watch.summing():
                self.loss.require_none()  # within: whoever loses a process from here on calls the sum off
                return work()
        except RuntimeError as error:
            if lost := self.loss.behind(error):
                raise lost from None
            raise


def _ports(message: Message) -> list[str]:
    ports = message.get("ports")
    return [str(port) for port in ports] if isinstance(ports, list) else []
