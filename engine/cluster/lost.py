"""What is told of a process of a run that is gone: why, and how the run goes on."""

from engine.cluster.channel import CLOSED, FAILED, Message
from engine.cluster.peer import Peer
from engine.cluster.unreached import signal_name
from engine.cluster.world import PeerLost
from engine.i18n import _
from engine.sanitize import one_line

_LAST_WORDS_S = 1.0
"""Seconds that are waited for what it may have said at last."""


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
    return PeerLost(peer.rank, problem, fix or going_on(bool(peer.told)))


def going_on(is_logged: bool) -> str:
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
