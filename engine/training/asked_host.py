"""One machine of a host file while it is asked: what it has, how it is reached, how fast it is."""

import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from engine.cluster.channel import Message
from engine.cluster.link import TOKEN_BYTES, Link, Listener, measure
from engine.cluster.peer import Peer
from engine.cluster.world import Host, World
from engine.config import TrainingConfig
from engine.errors import UserError, system_reason
from engine.i18n import N_, _
from engine.project import Project
from engine.sanitize import one_line

MODULE = "engine.training.host_answers"
"""What answers there."""
REACH_S = 60.0
"""Seconds until the first answer."""
_LOOK_S = 300.0
"""Seconds that hashing may take."""
_LINK_S = 45.0
_SPEED_S = 900.0
_OTHERS = {
    "data": N_("the data files are not those of this machine"),
    "model": N_("the base model is not that of this machine"),
    "template": N_("the chat template or the tokenizer is not that of this machine"),
}
"""What is said of a fingerprint that is another one there."""


@dataclass
class HostReport:
    """What was found of one host."""

    name: str
    problems: list[UserError] = field(default_factory=list)
    memory: int | None = None
    """Bytes that a run can have."""
    disk: int | None = None
    """Free bytes at the project."""
    link: Link | None = None
    """To and from this machine: the slower way, over the slowest of its addresses."""
    speed: float | None = None
    """Tokens a second."""


class AskedHost:
    """A host while it is asked; its problems go to its report."""

    def __init__(
        self, world: World, rank: int, project: Project, config: TrainingConfig, resources: ExitStack
    ) -> None:
        """Start what answers there.

        Args:
            world: from a host file.
            rank: which of its hosts.
            project: on this machine.
            config: of the run.
            resources: closes what is opened.
        """
        self.host: Host = world.hosts[rank]
        self.report = HostReport(world.name(rank))
        self.trainable = 0
        """Weights of the adapter; known once the speed is."""
        self._addresses = world.addresses[rank]
        self._about: dict[str, Any] = {
            "project": self.host.project or str(project.root.resolve()),
            "config": config.model_dump(mode="json"),
        }
        self._is_known = False
        self.give_up: Callable[[], None] = lambda: None
        """Ends what answers there, whatever it is doing: who waits for an answer then has none."""
        try:
            self._peer = Peer(world, rank, project, module=MODULE)
        except UserError as error:
            self.report.problems.append(error)
        else:
            resources.callback(self._peer.end)
            self.give_up = self._peer.kill

    def compare(self, own: Mapping[str, Any]) -> None:
        """See whether it has what this machine has.

        Args:
            own: what `look` found here.
        """
        found = self._ask("look", _LOOK_S, **self._about, addresses=list(self._addresses))
        if found is None:
            return
        self.report.memory, self.report.disk = _size(found.get("memory")), _size(found.get("disk"))
        versions, prints = _texts(found.get("versions")), _texts(found.get("prints"))
        for name, version in own["versions"].items():
            if versions.get(name) != version:
                self._note(
                    _("{name} {there} is installed there, {here} here").format(
                        name=name, there=versions.get(name, "-"), here=version
                    ),
                    _("install the same version on all machines"),
                )
        for name, text in _OTHERS.items():
            if prints.get(name) != own["prints"][name]:
                self._note(_(text), _("copy the project and the model to it again"))
        for address in found.get("wrong") or []:
            self._note(
                _("{address} is no address of that machine").format(address=address),
                _("correct ips in the host file"),
            )

    def measure_links(self, own: Sequence[str]) -> None:
        """Measure the network both ways over each pair of addresses."""
        found = []
        for here, there in zip(own, self._addresses, strict=True):
            link = self._link_there(there)
            back = self._link_here(here) if link else None
            if link is None or back is None:
                return
            found += [link, back]
        self.report.link = Link(min(one.bandwidth for one in found), max(one.latency for one in found))

    def measure_speed(self, sharing_memory: int) -> None:
        """Let it train a few steps."""
        sharing = sharing_memory if self.host.is_here else 1
        found = self._ask("speed", _SPEED_S, **self._about, sharing_memory=sharing)
        speed = _figure(found.get("tokens_per_second")) if found else None
        if speed:
            self.report.speed = speed
            self.trainable = _size(found.get("trainable")) or 0 if found else 0
        elif found:
            self._note(_("it answered without a speed"), _("use the same version of mqlora-tui"))

    def _link_there(self, address: str) -> Link | None:
        """Measure with a listener there."""
        token = secrets.token_hex(TOKEN_BYTES // 2)
        told = self._ask("listen", _LINK_S, answer="listening", address=address, token=token)
        if told is None:
            return None
        try:
            link = measure(address, _size(told.get("port")) or 0, token)
        except (OSError, OverflowError) as error:
            self._no_way(_("{address} cannot be reached from this machine"), address, error)
            return None
        return link if self._ask("listen", _LINK_S, is_asked=True) is not None else None

    def _link_here(self, address: str) -> Link | None:
        """Measure with a listener of this machine."""
        token = secrets.token_hex(TOKEN_BYTES // 2)
        try:
            listener = Listener(address, token)
        except OSError as error:
            self._no_way(_("{address} is no address of this machine"), address, error)
            return None
        serving = threading.Thread(target=_serve, args=(listener,), daemon=True)
        serving.start()
        found = self._ask("connect", _LINK_S, address=address, port=listener.port, token=token)
        listener.close()
        serving.join(_LINK_S)
        if found is None:
            return None
        bandwidth, latency = _figure(found.get("bandwidth")), _figure(found.get("latency"))
        return Link(bandwidth, latency) if bandwidth and latency is not None else None

    def _no_way(self, text: str, address: str, error: Exception) -> None:
        reason = system_reason(error) if isinstance(error, OSError) else str(error)
        self._note(
            f"{text.format(address=address)}: {one_line(reason, 200)}",
            _("see whether a firewall lets Python listen, and whether ips are in one network"),
        )

    def _ask(
        self, kind: str, limit_s: float, answer: str = "", is_asked: bool = False, **values: Any
    ) -> Message | None:
        """Ask something and return the answer; None, with a problem noted, where there is none.

        Args:
            kind: of the question.
            limit_s: how long it may take.
            answer: kind of the answer; that of the question if empty.
            is_asked: whether only the answer is to be waited for.
            values: of the question.
        """
        if self.report.problems:
            return None
        if not is_asked:
            self._peer.channel.send(kind, **values)
        message = self._next(limit_s)
        if message is None or message.get("kind") == "closed":
            self._explain()
            return None
        self._is_known = True
        if message.get("kind") != (answer or kind) or "problem" in message:
            problem = str(message.get("problem") or _("it answered what nobody asked"))
            self._note(problem, str(message.get("fix") or _("use the same version of mqlora-tui")))
            return None
        return message

    def _next(self, limit_s: float) -> Message | None:
        """Return its next message; None where it gives no sign of life, or takes too long."""
        began = time.monotonic()
        while (message := self._peer.channel.receive(timeout=0.2)) is None:
            if time.monotonic() - began > limit_s or self._peer.channel.silence > REACH_S:
                return None
        return message

    def _explain(self) -> None:
        """Note why it does not answer."""
        if self._is_known:
            self._note(_("it has stopped answering"), _("see whether it is awake and on the network"))
            return
        self.report.problems.append(self._peer.why_not_reached())

    def _note(self, problem: str, fix: str) -> None:
        self.report.problems.append(UserError(f"{self.report.name}: {problem}", fix))


def _serve(listener: Listener) -> None:
    try:
        listener.serve()
    except OSError:
        return  # the other side tells why


def _figure(value: object) -> float | None:
    """Return a number that another machine told, if it is one."""
    if not isinstance(value, int | float) or not 0 <= value < 1e9 or not math.isfinite(value):
        return None
    return float(value)


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 1 << 62 else None


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(name): one_line(str(text), 100) for name, text in value.items()}
