"""Losing a process of a run: it is noted why, whoever waits for it is freed, and it is said how to go on."""

import os
import sys
import threading
from collections.abc import Callable, Sequence

from engine.cluster.channel import BEAT_S, CLOSED, FAILED, Message
from engine.cluster.collective import Ring
from engine.cluster.peer import Peer
from engine.cluster.unreached import signal_name
from engine.cluster.watch import SILENCE_S, Watch
from engine.cluster.world import PeerLost
from engine.i18n import _
from engine.sanitize import one_line

_STUCK_S = 15.0
"""Seconds after which a sum that was called off and goes on ends this process."""
_LAST_WORDS_S = 1.0
"""Seconds that are waited for what it may have said at last."""


def exit_at_once(lost: PeerLost) -> None:
    """Say what happened and end this process, whatever its threads wait for."""
    print(lost, file=sys.stderr, flush=True)
    os._exit(1)


class Loss:
    """The first process of a run that is gone; with it the session ends."""

    def __init__(
        self,
        peers: Sequence[Peer],
        watch: Watch,
        leave: Callable[[PeerLost], None],
        goes_on: Callable[[int | None], bool],
    ) -> None:
        """Nobody is lost yet.

        Args:
            peers: all but the owner.
            watch: who looks after them, and tells of one that is gone by `lose`.
            leave: see `Team`.
            goes_on: see there.
        """
        self.note: Callable[[Exception], None] = lambda _lost: None
        """Called before `leave`, to write it down."""
        self.ring: Ring | None = None
        """Whose sums are called off, once it is connected."""
        self._peers, self._watch, self._leave, self._goes_on = peers, watch, leave, goes_on
        self._lost: PeerLost | None = None
        self._in_turn, self._found = threading.Lock(), threading.Event()

    @property
    def is_there(self) -> bool:
        """Whether a process is gone."""
        return self._lost is not None

    def require_none(self) -> None:
        """Raise `PeerLost` if a process is gone."""
        if self._lost:
            raise self._lost

    def behind(self, error: BaseException) -> PeerLost | None:
        """Return who is gone, if that is what an error of a sum means; the watcher may find out later."""
        if "[ring]" not in str(error) and self._lost is None:
            return None
        self._found.wait(SILENCE_S + 2 * BEAT_S)
        is_logged = any(peer.told for peer in self._peers)
        return self._lost or PeerLost(
            None, _("The connection between the processes was lost"), _how_to_go_on(is_logged)
        )

    def lose(self, peer: Peer, message: Message) -> None:
        """Note that a process is gone and why, and let nobody wait for it; on any thread.

        Args:
            peer: which.
            message: its last one, or what was found of it.
        """
        with self._in_turn:
            if self._lost or self._watch.is_over:
                return
            self._lost = self._told(why_lost(peer, message))
            self._found.set()
        peer.kill()
        if not (self.ring and self.ring.is_on_device):
            if self.ring:
                self.ring.call_off()
            if self._watch.wait_for_sum(_STUCK_S):
                return
        # The device, or a connection that is being made, waits for ever; so would the end of this process.
        for other in self._peers:
            other.kill()
        self.note(self._lost)
        self._leave(self._lost)

    def _told(self, lost: PeerLost) -> PeerLost:
        """Return what is told of it where the run goes on by itself; else as it is."""
        if not self._goes_on(lost.rank):
            return lost
        lost = PeerLost(lost.rank, lost.problem, _("the run goes on without it, from where it stands"))
        lost.goes_on = True
        return lost


def why_lost(peer: Peer, message: Message) -> PeerLost:
    """Return why a process is gone, and what to do about it.

    Args:
        peer: which.
        message: its last one, or what was found of it.
    """
    if message is CLOSED:
        message = peer.channel.last_words(_LAST_WORDS_S)
    if message.get("kind") != FAILED and not peer.channel.was_heard:
        unreached = peer.why_not_reached()
        return PeerLost(peer.rank, unreached.problem, unreached.fix)
    problem = _reason(peer, message)
    fix = one_line(str(message.get("fix", "")), 1000) if message.get("kind") == FAILED else ""
    return PeerLost(peer.rank, problem, fix or _how_to_go_on(bool(peer.told)))


def _how_to_go_on(is_logged: bool) -> str:
    """Return how a run goes on that lost a process; `is_logged`: whether that said anything."""
    if is_logged:
        return _(
            "what is saved is kept; see checkpoints_qlora/training.log, then go on with: "
            "mqlora-tui train --resume"
        )
    return _("what is saved is kept; go on with: mqlora-tui train --resume")


def _reason(peer: Peer, message: Message) -> str:
    """Return in words why a process counts as gone."""
    match message.get("kind"):
        case kind if kind == FAILED:
            return f"{peer.name}: {one_line(str(message.get('problem', '')), 1000)}"
        case "silent":
            return _("{name} has given no sign of life for {seconds:.0f} s").format(
                name=peer.name, seconds=peer.channel.silence
            )
        case "stuck":
            return _("{name} does not come to the end of a step").format(name=peer.name)
        case "closed":
            peer.wait()
            if peer.exit_code is not None and peer.exit_code < 0:
                name = signal_name(-peer.exit_code)
                return _("{name} was ended by {signal}").format(name=peer.name, signal=name)
            return _("{name} has ended").format(name=peer.name)
        case kind:
            return _("{name} answered what nobody asked ({kind})").format(
                name=peer.name, kind=one_line(str(kind), 40)
            )
