"""The run's owner and the other processes: what it tells them, and what it does when one of them is gone.

All decisions are the owner's: the others make the step that they are told to, so pausing, rolling back
and ending need no agreement. A thread watches over the others and over how long a sum takes; it
calls off what would wait for ever, and names who was missing.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from engine.backend import mx
from engine.cluster.channel import BEAT_S, Message
from engine.cluster.collective import Ring, free_ports
from engine.cluster.lost import going_on, why_lost
from engine.cluster.peer import Peer
from engine.cluster.started_peers import StartedPeers
from engine.cluster.watch import SILENCE_S, Beat, Watch
from engine.cluster.world import PeerLost, World
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line

_STUCK_S = 15.0
"""Seconds after which a sum that was called off and goes on ends this process."""
SCORED = "scored"
"""Kind of the messages that tell the loss of a micro-batch."""
AT_SUM = "at_sum"
"""Kind of the messages that tell that a process has what it adds to the sum; to it, that all have."""
_LOOK_S = 0.1
"""Between two looks at whether all have begun to answer."""


def exit_at_once(lost: PeerLost) -> None:
    """Say what happened and end this process, whatever its threads wait for."""
    print(lost, file=sys.stderr, flush=True)
    os._exit(1)


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
        self.note: Callable[[Exception], None] = lambda _lost: None
        """Called before that, to write it down."""
        self._leave, self._goes_on = leave, goes_on
        self._project = project
        self._started = StartedPeers(world, project)
        self._peers = self._started.peers
        self._ring: Ring | None = None
        self._lost: PeerLost | None = None
        self._losing, self._found = threading.Lock(), threading.Event()
        self._watch = Watch(beat)
        self._resources = ExitStack()

    def __enter__(self) -> "Team":
        """Start the other processes.

        Raises:
            UserError: one cannot be started.
        """
        self._resources.enter_context(self._started)
        self._resources.callback(self._watch.end)
        self._watch.begin(self._peers, self._lose)
        return self

    def __exit__(self, *_error: object) -> None:
        """End the other processes."""
        self._resources.close()

    # Beginning

    def tell(self, kind: str, **values: Any) -> None:
        """Send all other processes the same message."""
        self._started.tell(kind, **values)

    def ask(self, kind: str, **values: Any) -> list[Message]:
        """Send all others a message, wait, and return their answers of the same kind, in the order of ranks.

        Raises:
            PeerLost: one of them is gone.
        """
        self.tell(kind, **values)
        with self._watch.asking():
            return [self._answer(peer, kind) for peer in self._peers]

    def tell_one(self, other: int, kind: str, **values: Any) -> None:
        """Send one of the other processes a message."""
        self._peers[other - 1].channel.send(kind, **values)

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
        away = [peer for peer in self._peers if not self.world.hosts[peer.rank].is_here]
        while not (all(peer.channel.was_heard for peer in away) or stop.wait(_LOOK_S)):
            self.require_all()
        self.require_all()

    def connect(self) -> None:
        """Let all processes find each other, once they have loaded the model.

        Raises:
            PeerLost: one of them is gone.
            UserError: they cannot be connected.
        """
        ready = [self._answer(peer, "ready") for peer in self._peers]
        own = free_ports(self.world.addresses[0])
        ports = [own, *(_ports(message) for message in ready)]
        devices = [list(host.rdma) for host in self.world.hosts]
        self.tell("connect", ports=ports, devices=devices, backend=self.world.backend)
        try:
            with self._watch.summing():
                self._ring = Ring(self.world.backend, 0, ports, devices)
        except RuntimeError as error:
            raise self.lost(error) or UserError(
                _("The processes cannot be connected by {backend}: {reason}").format(
                    backend=self.world.backend, reason=one_line(str(error), 200)
                ),
                _("choose another backend in the host file, or train on one machine"),
            ) from None
        for peer in self._peers:
            self._answer(peer, "connected")
        self._watch.are_connected = True

    # While it runs

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
        self._meet()
        return self.timed(lambda: self.ring.sum(array))

    def _meet(self) -> None:
        """Wait until all others have what they add, and tell them so.

        The ring's threads spin while they wait for another process: on a CPU they would take the cores
        that one computes on. Reading a message costs nothing.
        """
        with self._watch.asking():
            for peer in self._peers:
                self._answer(peer, AT_SUM)
        self.tell(AT_SUM)

    def timed(self, work: Callable[[], Any]) -> Any:
        """Do what waits for all other processes, and let it be watched.

        Raises:
            PeerLost: one of them is gone.
        """
        try:
            with self._watch.summing():
                self.require_all()  # within: whoever loses a process from here on calls the sum off
                return work()
        except RuntimeError as error:
            if lost := self.lost(error):
                raise lost from None
            raise

    @property
    def is_broken(self) -> bool:
        """Whether a process is gone."""
        return self._lost is not None

    def require_all(self) -> None:
        """Raise `PeerLost` if a process is gone."""
        if self._lost:
            raise self._lost

    def lost(self, error: BaseException) -> PeerLost | None:
        """Return who is gone, if that is what an error of a sum means; the watcher may find out later."""
        if "[ring]" not in str(error) and self._lost is None:
            return None
        self._found.wait(SILENCE_S + 2 * BEAT_S)
        is_logged = any(peer.told for peer in self._peers)
        return self._lost or PeerLost(
            None, _("The connection between the processes was lost"), going_on(is_logged)
        )

    def _answer(self, peer: Peer, kind: str) -> Message:
        """Return the next message of `kind`.

        Raises:
            PeerLost: somebody is gone, or something else came.
        """
        while (message := peer.channel.receive(timeout=0.2)) is None or message.get("kind") == SCORED:
            self.require_all()  # scores that are still on their way when a validation is cut short
        if message.get("kind") != kind:
            self._lose(peer, message)
            self.require_all()
        return message

    def answers(self, kind: str) -> Iterator[Message]:
        """Yield the messages of `kind` that are there, of any process, until the caller stops asking.

        Raises:
            PeerLost: one of them is gone.
        """
        with self._watch.asking():
            while True:
                for peer in self._peers:
                    message = peer.channel.receive(timeout=0.02)
                    if message is not None:
                        self._watch.answered()
                        if message.get("kind") != kind:
                            self._lose(peer, message)
                        else:
                            yield message | {"rank": peer.rank}
                self.require_all()
                yield {}

    # Losing one

    def _why_lost(self, peer: Peer, message: Message) -> PeerLost:
        """Return why a process is gone, and what becomes of the run."""
        lost = why_lost(peer, message)
        if self._goes_on(lost.rank):
            lost = PeerLost(lost.rank, lost.problem, _("the run goes on without it, from where it stands"))
            lost.goes_on = True
        return lost

    def _lose(self, peer: Peer, message: Message) -> None:
        """Note that a process is gone and why, and let nobody wait for it."""
        with self._losing:
            if self._lost or self._watch.is_over:
                return
            self._lost = self._why_lost(peer, message)
            self._found.set()
        peer.kill()
        if not (self._ring and self._ring.is_on_device):
            if self._ring:
                self._ring.call_off()
            if self._watch.wait_for_sum(_STUCK_S):
                return
        # The device, or a connection that is being made, waits for ever; so would the end of this process.
        for other in self._peers:
            other.kill()
        self.note(self._lost)
        self._leave(self._lost)


def _ports(message: Message) -> list[str]:
    ports = message.get("ports")
    return [str(port) for port in ports] if isinstance(ports, list) else []
