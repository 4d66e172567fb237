"""What the owner of a run tells the other processes, and what they answer, in the order of ranks."""

from collections.abc import Iterator, Sequence
from typing import Any

from engine.cluster.channel import AT_SUM, SCORED, Message
from engine.cluster.lost import Loss
from engine.cluster.peer import Peer
from engine.cluster.watch import Watch


class Conversation:
    """Messages to and from all processes but the owner; nothing here waits for one that is gone."""

    def __init__(self, peers: Sequence[Peer], watch: Watch, loss: Loss) -> None:
        """Say nothing yet.

        Args:
            peers: the others, in the order of ranks from 1.
            watch: is told how long they are waited for.
            loss: who is gone; gets those that answer what nobody asked.
        """
        self._peers, self._watch, self._loss = peers, watch, loss

    def tell(self, kind: str, **values: Any) -> None:
        """Send all the same message."""
        for peer in self._peers:
            peer.channel.send(kind, **values)

    def tell_one(self, rank: int, kind: str, /, **values: Any) -> None:
        """Send one of them a message."""
        self._peers[rank - 1].channel.send(kind, **values)

    def ask(self, kind: str, **values: Any) -> list[Message]:
        """Send all a message, wait, and return their answers of the same kind.

        Raises:
            PeerLost: one of them is gone.
        """
        self.tell(kind, **values)
        with self._watch.asking():
            return self.hear(kind)

    def hear(self, kind: str) -> list[Message]:
        """Return the next message of each, which has to be of `kind`.

        Raises:
            PeerLost: somebody is gone, or something else came.
        """
        return [self._next(peer, kind) for peer in self._peers]

    def meet(self) -> None:
        """Wait until all have what they add to a sum, and tell them so.

        The ring's threads spin while they wait for another process: on a CPU they would take the cores
        that one computes on. Reading a message costs nothing.

        Raises:
            PeerLost: one of them is gone.
        """
        with self._watch.asking():
            self.hear(AT_SUM)
        self.tell(AT_SUM)

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
                            self._loss.lose(peer, message)
                        else:
                            yield message | {"rank": peer.rank}
                self._loss.require_none()
                yield {}

    def _next(self, peer: Peer, kind: str) -> Message:
        while (message := peer.channel.receive(timeout=0.2)) is None or message.get("kind") == SCORED:
            self._loss.require_none()  # scores that are still on their way when a validation is cut short
        if message.get("kind") != kind:
            self._loss.lose(peer, message)
            self._loss.require_none()
        return message
