"""Which processes train together: those of one machine, or those that a host file names."""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Backend = Literal["ring", "nccl", "jaccl"]
"""How gradients travel: TCP; NVIDIA's library between cards of one machine; RDMA over Thunderbolt 5."""
MOST_RANKS = 64
_HERE = ("localhost", "127.0.0.1", "::1", "")
_USER, _NAME = re.compile(r"\w[\w.+-]{0,63}", re.ASCII), re.compile(r"\w[\w.:%-]{0,254}", re.ASCII)
"""Nothing that ssh or a shell could take for something else, such as an option."""
_NO_LETTER = re.compile(r"[^\w.:%+@-]", re.ASCII)
_PATH = re.compile(r"/[^\x00-\x1f\x7f]*")


class PeerLost(UserError):
    """A process of the run is gone."""

    def __init__(self, rank: int | None, problem: str, fix: str = "") -> None:
        super().__init__(problem, fix)
        self.rank = rank
        """Its number; None where only a connection is lost."""
        self.goes_on = False
        """Whether the run goes on without it by itself."""


class Host(BaseModel):
    """A process of the world and the machine that it runs on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ssh: Annotated[str, Field(description="a name that ssh knows, such as mac2.local")] = "localhost"
    ips: Annotated[
        tuple[str, ...], Field(max_length=8, description="its IPv4 addresses, such as 192.168.2.2")
    ] = ()
    rdma: Annotated[
        tuple[str | None, ...],
        Field(max_length=MOST_RANKS, description="for jaccl: RDMA device to each other host"),
    ] = ()
    speed: Annotated[
        float,
        Field(gt=0, le=1e9, strict=True, description="tokens a second, or a share; rows are divided by it"),
    ] = 1.0
    bandwidth: Annotated[
        float,
        Field(
            ge=0, le=1e6, strict=True, description="measured MB a second to and from the owner; 0: not known"
        ),
    ] = 0.0
    latency: Annotated[
        float, Field(ge=0, le=1e5, strict=True, description="measured milliseconds to the owner, one way")
    ] = 0.0
    python: Annotated[str, Field(max_length=4096, description="whole path of Python there, without =")] = ""
    project: Annotated[str, Field(max_length=4096, description="whole path of the project there")] = ""

    @property
    def is_here(self) -> bool:
        """Whether it is started as a process of this machine, without ssh."""
        return self.ssh in _HERE

    @field_validator("ssh")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if problem := _why_no_name(name):
            raise ValueError(problem)
        return name

    @field_validator("python", "project")
    @classmethod
    def _is_a_path(cls, path: str, field: ValidationInfo) -> str:
        if path and not path.startswith("/"):
            raise ValueError(_("it does not begin with /, as a whole path does"))
        if path and not _PATH.fullmatch(path):
            raise ValueError(_("there is a character in it that cannot be seen"))
        if field.field_name == "python" and "=" in path:  # `env`, which starts it, would take an assignment
            raise ValueError(_("there is a = in it"))
        return path

    @field_validator("ips")
    @classmethod
    def _are_addresses(cls, ips: tuple[str, ...]) -> tuple[str, ...]:
        for address in ips:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ValueError(_("{text} is no IPv4 address").format(text=one_line(address, 60))) from None
        return ips


def _why_no_name(name: str) -> str:
    """Return what is wrong with the name of a machine, perhaps with a user's before it; empty if nothing."""
    if found := _NO_LETTER.search(name):
        return _("'{character}' stands in it; a name has letters from a to z, digits and . _ - only").format(
            character=one_line(found[0])
        )
    user, at, machine = name.rpartition("@")
    if machine.count(":") == 1:
        return _("ssh takes no port behind a name; that goes into ~/.ssh/config: Host, HostName, Port")
    if len(machine) > 255 or len(user) > 64:
        return _("it is longer than 255 letters, or than 64 before @")
    if not _NAME.fullmatch(machine) or (at and not _USER.fullmatch(user)):
        return _("it has to begin with a letter or digit, as a user's name before @ has")
    return ""


@dataclass(frozen=True)
class World:
    """The processes of a run, the first of which is its owner on this machine."""

    backend: Backend
    hosts: tuple[Host, ...]
    envs: tuple[str, ...] = ()
    """Assignments such as "NAME=value" for every process but the first."""
    may_be_slower: bool = False
    """Whether a run begins although one machine alone is expected to be faster."""

    @property
    def size(self) -> int:
        """How many processes."""
        return len(self.hosts)

    @property
    def speeds(self) -> tuple[float, ...]:
        """Of each process, in one unit."""
        return tuple(host.speed for host in self.hosts)

    @property
    def machines(self) -> tuple[str, ...]:
        """Of each process the name of its machine for ssh; "localhost" is this one."""
        return tuple("localhost" if host.is_here else host.ssh for host in self.hosts)

    def name(self, rank: int) -> str:
        """Return what a process is called in sentences, such as "mac2.local" or "process 1"."""
        host = self.hosts[rank]
        if rank == 0:
            return _("this machine")
        return _("process {rank}").format(rank=rank) if host.is_here else host.ssh

    def without(self, rank: int) -> "World":
        """Return the world that is left when a process is gone."""
        hosts = tuple(host for other, host in enumerate(self.hosts) if other != rank)
        return replace(self, hosts=hosts)

    @property
    def addresses(self) -> tuple[tuple[str, ...], ...]:
        """Where each process listens."""
        return tuple(host.ips or ("127.0.0.1",) for host in self.hosts)

    @property
    def sharing_memory(self) -> int:
        """How many of its processes take their memory from the same as the first one."""
        return 1 if self.backend == "nccl" else self.here

    @property
    def is_spread(self) -> bool:
        """Whether it has more than one machine."""
        return self.here < self.size

    @property
    def here(self) -> int:
        """How many of its processes share this machine."""
        return sum(host.is_here for host in self.hosts)


ALONE = World("ring", (Host(),))
"""One process on this machine."""


def local_world(ranks: int, backend: Backend) -> World:
    """Return a world of processes of this machine.

    Raises:
        UserError: too few or too many.
    """
    if not 1 <= ranks <= MOST_RANKS:
        raise UserError(
            _("{ranks} processes cannot train together").format(ranks=ranks),
            _("give a number from 1 to {most}").format(most=MOST_RANKS),
        )
    return World(backend, (Host(),) * ranks)
