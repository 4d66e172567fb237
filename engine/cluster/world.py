"""Which processes train together: those of one machine, or those that a host file names."""

import ipaddress
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from engine.errors import UserError
from engine.files import read_given, write_json
from engine.i18n import _
from engine.values import refusal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Backend = Literal["ring", "nccl", "jaccl"]
"""How gradients travel: TCP; NVIDIA's library between cards of one machine; RDMA over Thunderbolt 5."""
MOST_RANKS = 64
_LONGEST_FILE = 1 << 20
_HERE = ("localhost", "127.0.0.1", "::1", "")
_NAME = re.compile(r"[\w.@:%-]{1,255}", re.ASCII)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=[^\x00-\x1f]*", re.ASCII)


class PeerLost(UserError):
    """A process of the run is gone."""

    def __init__(self, rank: int | None, problem: str, fix: str = "") -> None:
        super().__init__(problem, fix)
        self.rank = rank
        """Its number; None where only a connection is lost."""


class Host(BaseModel):
    """A process of the world and the machine that it runs on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ssh: Annotated[str, Field(description="a name that ssh knows, such as mac2.local")] = "localhost"
    ips: Annotated[tuple[str, ...], Field(max_length=8, description="addresses of its network cards")] = ()
    rdma: Annotated[
        tuple[str | None, ...], Field(max_length=MOST_RANKS, description="RDMA device to each other host")
    ] = ()
    speed: Annotated[
        float, Field(gt=0, le=1e9, description="tokens a second, or a share; rows are divided by it")
    ] = 1.0
    python: Annotated[str, Field(max_length=4096, description="path of Python there")] = ""
    project: Annotated[str, Field(max_length=4096, description="path of the project there")] = ""

    @property
    def is_here(self) -> bool:
        """Whether it is started as a process of this machine, without ssh."""
        return self.ssh in _HERE

    @field_validator("ssh")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name) or name.startswith("-"):  # ssh would take it for an option
            raise ValueError("not a name")
        return name

    @field_validator("ips")
    @classmethod
    def _are_addresses(cls, ips: tuple[str, ...]) -> tuple[str, ...]:
        for address in ips:
            ipaddress.ip_address(address)
        return ips


@dataclass(frozen=True)
class World:
    """The processes of a run, the first of which is its owner on this machine."""

    backend: Backend
    hosts: tuple[Host, ...]
    envs: tuple[str, ...] = ()
    """Assignments such as "NAME=value" for every process but the first."""

    @property
    def size(self) -> int:
        """How many processes."""
        return len(self.hosts)

    @property
    def speeds(self) -> tuple[float, ...]:
        """Of each process, in one unit."""
        return tuple(host.speed for host in self.hosts)

    def name(self, rank: int) -> str:
        """Return what a process is called in sentences, such as "mac2.local" or "rank 1"."""
        host = self.hosts[rank]
        return _("rank {rank}").format(rank=rank) if host.is_here else f"{host.ssh} (rank {rank})"

    def without(self, rank: int) -> "World":
        """Return the world that is left when a process is gone."""
        return World(self.backend, tuple(h for other, h in enumerate(self.hosts) if other != rank), self.envs)

    @property
    def addresses(self) -> tuple[tuple[str, ...], ...]:
        """Where each process listens."""
        return tuple(host.ips or ("127.0.0.1",) for host in self.hosts)

    @property
    def sharing_memory(self) -> int:
        """How many of its processes take their memory from the same as the first one."""
        return 1 if self.backend == "nccl" else self.here

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


def read_hosts(path: Path) -> World:
    """Read a host file in the form of `mlx.launch`: a list of hosts, or an object with `hosts`.

    Of ours are the fields `speed`, `python` and `project` of a host.

    Raises:
        UserError: it cannot be read or used.
    """
    try:
        content = json.loads(read_given(path, _LONGEST_FILE))
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=path, reason=error.strerror or error),
            _("write a host file as docs/cluster.md says"),
        ) from None
    except (ValueError, RecursionError):
        raise _wrong(path, _("it is no JSON")) from None
    return _world(path, content)


def write_hosts(world: World, folder: Path) -> Path:
    """Write a world as a host file into `folder`, and return its path.

    Raises:
        OSError: it cannot be written.
    """
    hosts = [host.model_dump(mode="json") for host in world.hosts]
    path = folder / "hosts.json"
    write_json(path, {"backend": world.backend, "envs": list(world.envs), "hosts": hosts})
    return path


def _world(path: Path, content: Any) -> World:
    values = content if isinstance(content, dict) else {"hosts": content}
    if unknown := sorted(values.keys() - {"hosts", "backend", "envs"}):
        raise _wrong(path, _("nobody knows its field {name}").format(name=unknown[0]))
    backend, hosts, envs = values.get("backend", "ring"), values.get("hosts"), values.get("envs", [])
    if backend not in ("ring", "nccl", "jaccl"):
        raise _wrong(path, _("its backend is none of ring, nccl, jaccl"))
    if not isinstance(hosts, list) or not 1 <= len(hosts) <= MOST_RANKS:
        raise _wrong(path, _("it needs a list of 1 to {most} hosts").format(most=MOST_RANKS))
    if not isinstance(envs, list) or not all(
        isinstance(text, str) and _ASSIGNMENT.fullmatch(text) for text in envs
    ):
        raise _wrong(path, _('"envs" is no list of NAME=value'))
    world = World(backend, tuple(_host(path, index, host) for index, host in enumerate(hosts)), tuple(envs))
    _require_reachable(path, world)
    return world


def _host(path: Path, index: int, values: Any) -> Host:
    source = _("host {number} of {path}").format(number=index + 1, path=path)
    if not isinstance(values, dict):
        raise _wrong(path, _("host {number} is no object").format(number=index + 1))
    try:
        return Host.model_validate(values)
    except ValidationError as error:
        raise refusal(error, Host.model_fields, source) from None


def _require_reachable(path: Path, world: World) -> None:
    """Refuse a world whose first process is not here, or whose processes could not find each other.

    Raises:
        UserError: with the host.
    """
    if not world.hosts[0].is_here and not set(world.hosts[0].ips) & _own_addresses():
        raise _wrong(path, _("the first host has to be this machine, which owns the run"))
    is_spread = world.here < world.size
    for host in world.hosts:
        if is_spread and not host.ips:
            raise _wrong(path, _("{host} has no address in ips").format(host=host.ssh))


def _own_addresses() -> set[str]:
    families = (socket.AF_INET, socket.AF_INET6)
    return {a.address for cards in psutil.net_if_addrs().values() for a in cards if a.family in families}


def _wrong(path: Path, problem: str) -> UserError:
    return UserError(
        _("{path} is no host file that can be used: {problem}").format(path=path, problem=problem),
        _("write it as docs/cluster.md says"),
    )
