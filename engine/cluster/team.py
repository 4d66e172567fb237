"""The run's owner and the other processes: what it tells them, and what it does when one of them is gone.

All decisions are the owner's: the others make the step that they are told to, so pausing, rolling back
and ending need no agreement. A thread watches over the others and over how long a sum takes; it
calls off what would wait for ever, and names who was missing.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from engine.cluster.channel import BEAT_S, CLOSED, FAILED, Message
from engine.cluster.collective import Ring, free_ports
from engine.cluster.peer import Peer
from engine.cluster.world import PeerLost, World
from engine.errors import UserError
from engine.files import open_own
from engine.i18n import _
from engine.project import Project
from engine.sanitize import one_line

SILENCE_S = 20.0
"""Seconds without a sign of life after which a process counts as gone; it gives one each second."""
FIRST_SILENCE_S = 45.0
"""The same until all are connected: libraries that load, and MLX while it connects, let no thread run."""
START_S = 180.0
"""Seconds that a process may take to start, before it gives the first sign: imports from a slow disk."""
LEAST_SUM_S = 30.0
"""Seconds that a sum may take at least, once all take part in it."""
LEAST_STEP_S = 600.0
"""Seconds that another process may compute at least, before it takes part or answers: the first step
compiles."""
_LONGER = 10.0
"""Times the longest one so far that one may take."""
_STUCK_S = 15.0
"""Seconds after which a sum that was called off and goes on ends this process."""
IN_SUM = "sum"
"""What a process is doing while it waits for the sum."""
PREPARING = "preparing"
"""What it is doing until it is ready to connect; a large model on a slow disk takes its time."""
SCORED = "scored"
"""Kind of the messages that tell the loss of a micro-batch."""
_LOOK_S = 0.25
_LAST_WORDS_S = 1.0
_AWAKE_S = 5.0
"""Seconds that this process has to have run, not stopped by Ctrl+Z, before silence is another one's."""


def exit_at_once(lost: PeerLost) -> None:
    """Say what happened and end this process, whatever its threads wait for."""
    print(lost, file=sys.stderr, flush=True)
    os._exit(1)


class Team:
    """The processes of a run; use it as a context manager: its end is theirs."""

    def __init__(
        self, world: World, project: Project, leave: Callable[[PeerLost], None] = exit_at_once
    ) -> None:
        """Start nothing yet.

        Args:
            world: who takes part.
            project: of the run.
            leave: ends this process, on any thread, where a sum cannot be called off.
        """
        self.world = world
        self.note: Callable[[Exception], None] = lambda _lost: None
        """Called before that, to write it down."""
        self._leave = leave
        self._project = project
        self._peers: list[Peer] = []
        self._ring: Ring | None = None
        self._lost: PeerLost | None = None
        self._sum_since: float | None = None
        self._longest_sum = 0.0
        self._silence_s = FIRST_SILENCE_S
        self._asked_since: float | None = None
        self._losing = threading.Lock()
        self._ended = threading.Event()
        self._resources = ExitStack()

    def __enter__(self) -> "Team":
        """Start the other processes.

        Raises:
            UserError: one cannot be started.
        """
        self._project.make_run_dir()
        is_new = not os.path.lexists(self._project.log_file)
        log = self._resources.enter_context(open_own(self._project.log_file, "ab"))
        self._resources.callback(self._drop_log if is_new else lambda: None)
        self._resources.callback(self._end)
        try:
            for rank in range(1, self.world.size):
                self._peers.append(Peer(self.world, rank, self._project, log))
        except UserError:
            self._resources.close()
            raise
        threading.Thread(target=self._watch, daemon=True, name="team").start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End the other processes."""
        self._resources.close()

    def _drop_log(self) -> None:
        """Take the log away again in which nobody wrote a word."""
        with suppress(OSError):
            if not self._project.log_file.stat().st_size:
                self._project.log_file.unlink()

    def _end(self) -> None:
        self._ended.set()
        for peer in self._peers:
            peer.channel.send("end")
        for peer in self._peers:
            peer.end()

    # Beginning

    def tell(self, kind: str, **values: Any) -> None:
        """Send all other processes the same message."""
        for peer in self._peers:
            peer.channel.send(kind, **values)

    def ask(self, kind: str, **values: Any) -> list[Message]:
        """Send all others a message, wait, and return their answers of the same kind, in the order of ranks.

        Raises:
            PeerLost: one of them is gone.
        """
        self.tell(kind, **values)
        with self._asking():
            return [self._answer(peer, kind) for peer in self._peers]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Let it be watched how long the others take to answer."""
        self._asked_since = time.monotonic()
        try:
            yield
        finally:
            self._asked_since = None

    def tell_one(self, other: int, kind: str, **values: Any) -> None:
        """Send one of the other processes a message."""
        self._peers[other - 1].channel.send(kind, **values)

    @property
    def folder(self) -> str:
        """The project's, as it is on other machines too unless the host file says another."""
        return str(self._project.root.resolve())

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
        self._sum_since = time.monotonic()
        try:
            self._ring = Ring(self.world.backend, 0, ports, devices)
        except RuntimeError as error:
            raise self.lost(error) or UserError(
                _("The processes cannot be connected by {backend}: {reason}").format(
                    backend=self.world.backend, reason=one_line(str(error), 200)
                ),
                _("choose another backend in the host file, or train on one machine"),
            ) from None
        finally:
            self._sum_since = None
        for peer in self._peers:
            self._answer(peer, "connected")
        self._silence_s = SILENCE_S

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
        return self.timed(lambda: self.ring.sum(array))

    def timed(self, work: Callable[[], Any]) -> Any:
        """Do what waits for all other processes, and let it be watched.

        Raises:
            PeerLost: one of them is gone.
        """
        self._sum_since = begin = time.monotonic()  # first: whoever loses a process then calls off
        try:
            self.require_all()
            result = work()
        except RuntimeError as error:
            if lost := self.lost(error):
                raise lost from None
            raise
        finally:
            self._sum_since = None
        self._longest_sum = max(self._longest_sum, time.monotonic() - begin)
        return result

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
        limit = time.monotonic() + SILENCE_S + 2 * BEAT_S
        while self._lost is None and time.monotonic() < limit:
            time.sleep(0.05)
        return self._lost or PeerLost(None, _("The connection between the processes was lost"), _going_on())

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
        with self._asking():
            while True:
                for peer in self._peers:
                    message = peer.channel.receive(timeout=0.02)
                    if message is not None:
                        self._asked_since = time.monotonic()
                        if message.get("kind") != kind:
                            self._lose(peer, message)
                        else:
                            yield message | {"rank": peer.rank}
                self.require_all()
                yield {}

    # Watching

    def _watch(self) -> None:
        looked = awake = time.monotonic()
        while not self._ended.wait(_LOOK_S) and self._lost is None:
            now = time.monotonic()
            if now - looked > _AWAKE_S:  # this process was stopped: what came meanwhile is to be read first
                awake = now
            looked = now
            for peer in self._peers:
                if peer.channel.is_closed or peer.exit_code is not None:
                    self._lose(peer, CLOSED)
                elif peer.channel.silence > self._limit(peer) and now - awake > _AWAKE_S:
                    self._lose(peer, {"kind": "silent"})
                elif self._is_too_long(peer, now, awake):
                    self._lose(peer, {"kind": "stuck"})

    def _limit(self, peer: Peer) -> float:
        return self._silence_s if peer.channel.was_heard or peer.is_stopped else START_S

    def _is_too_long(self, peer: Peer, now: float, awake: float) -> bool:
        """Return whether a process keeps this one waiting too long; this one runs since `awake`."""
        phase, asked, since = peer.channel.their_phase, self._asked_since, self._sum_since
        if asked is not None and phase != PREPARING:
            return now - max(asked, awake) > LEAST_STEP_S
        least = LEAST_SUM_S if phase == IN_SUM else LEAST_STEP_S
        return since is not None and now - max(since, awake) > max(least, _LONGER * self._longest_sum)

    def _lose(self, peer: Peer, message: Message) -> None:
        """Note that a process is gone and why, and let nobody wait for it."""
        with self._losing:
            if self._lost or self._ended.is_set():
                return
            if message is CLOSED:
                message = peer.channel.last_words(_LAST_WORDS_S)
            fix = one_line(str(message.get("fix", "")), 1000) if message.get("kind") == FAILED else ""
            self._lost = PeerLost(peer.rank, _reason(peer, message), fix or _going_on())
        peer.kill()
        if not (self._ring and self._ring.is_on_device):
            if self._ring:
                self._ring.call_off()
            limit = time.monotonic() + _STUCK_S
            while self._sum_since is not None and time.monotonic() < limit:
                time.sleep(0.05)
            if self._sum_since is None:
                return
        # The device, or a connection that is being made, waits for ever; so would the end of this process.
        for other in self._peers:
            other.kill()
        self.note(self._lost)
        self._leave(self._lost)


def _ports(message: Message) -> list[str]:
    ports = message.get("ports")
    return [str(port) for port in ports] if isinstance(ports, list) else []


def _reason(peer: Peer, message: Message) -> str:
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
            return _("{name} has ended").format(name=peer.name)
        case kind:
            return _("{name} answered what nobody asked ({kind})").format(
                name=peer.name, kind=one_line(str(kind), 40)
            )


def _going_on() -> str:
    return _("what is saved is kept; see training.log, then go on with: mqlora-tui train --resume")
