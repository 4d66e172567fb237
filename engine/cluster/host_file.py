"""Host files: which machines train together, in the form of `mlx.launch` with a few fields of ours.

Whoever writes one says which programs are started where, so it is trusted as a command is. It is still
read with care: each field is used or refused, and nothing in it becomes an option of ssh.
"""

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.cluster.link import is_own
from engine.cluster.world import MOST_RANKS, Host, World
from engine.errors import UserError, system_reason, write_fix
from engine.files import read_given, write_json
from engine.i18n import _
from engine.sanitize import one_line
from engine.values import json_reason, refusal

from pydantic import ValidationError

_LONGEST_FILE = 1 << 20
_MOST_ENVS = 64
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w{0,99}=[^\x00-\x1f\x7f]{0,4096}", re.ASCII)
_INJECTS = ("LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "BASH_ENV", "ENV", "PYTHONSTARTUP")
"""Load code of anybody's into every program."""
_MOVES = ("HOME", "PYTHONHOME", "MQLORA_SSH")
"""Say where a program finds itself or its user's files, or how machines are reached."""
_SETS_ITSELF = ("MLX_RANK", "MLX_HOSTFILE", "MLX_WORLD_SIZE", "MLX_IBV_DEVICES", "MLX_JACCL_COORDINATOR",
    "NCCL_HOST_IP", "NCCL_PORT")  # fmt: skip
_WEDGES = "MLX_METAL_FAST_SYNCH"
"""Leaves the GPU of a Mac stuck until it is started again (mlx issues 3142 and 3830)."""
_FORM = '[{"ssh": "localhost", "ips": ["192.168.2.1"]}, {"ssh": "mac2.local", "ips": ["192.168.2.2"]}]'
"""What such a file may be, for those who have none yet."""


def read_hosts(path: Path) -> World:
    """Read a host file: a list of hosts, or an object with `hosts`, `backend` and `envs`.

    The first host is this machine, whatever name it has there. Of ours are the fields `speed`,
    `bandwidth`, `latency`, `python` and `project` of a host.

    Raises:
        UserError: it cannot be read or used.
    """
    return _world(path, _content(path))


def write_hosts(world: World, folder: Path) -> Path:
    """Write a world as a host file into `folder`, and return its path.

    A run that goes on with fewer is started with it, and can be resumed with it; whoever looks at the run
    reads there who takes part.

    Raises:
        OSError: it cannot be written.
    """
    hosts = [host.model_dump(mode="json", exclude_unset=True) for host in world.hosts]
    path = folder / "hosts.json"
    write_json(path, {"backend": world.backend, "envs": list(world.envs), "hosts": hosts})
    return path


def save_measured(path: Path, measured: Sequence[Mapping[str, float]]) -> None:
    """Write values of each host into a host file; the rest of it stays as it is.

    Args:
        path: of the file; where it is a link, what that leads to is changed.
        measured: fields of `Host` for each host, in their order.

    Raises:
        UserError: it is no longer the file that was read, or cannot be written.
    """
    content = _content(path)
    hosts = content["hosts"] if isinstance(content, dict) else content
    if len(_world(path, content).hosts) != len(measured):
        raise UserError(
            _("{path} was changed meanwhile").format(path=path), _("measure again: mqlora-tui hosts check")
        )
    for host, values in zip(hosts, measured, strict=True):
        host.update(values)
    try:
        write_json(path.resolve(), content)
    except OSError as error:
        raise UserError(
            _("{path} could not be written: {reason}").format(path=path, reason=system_reason(error)),
            write_fix(error),
        ) from None


def _content(path: Path) -> Any:
    try:
        return json.loads(read_given(path, _LONGEST_FILE))
    except OSError as error:
        raise UserError(
            _("Cannot read {path}: {reason}").format(path=path, reason=system_reason(error)),
            _like_this(),
        ) from None
    except (ValueError, RecursionError) as error:
        raise _wrong(path, json_reason(error)) from None


def _world(path: Path, content: Any) -> World:
    values = content if isinstance(content, dict) else {"hosts": content}
    if unknown := sorted(values.keys() - {"hosts", "backend", "envs"}):
        problem = _("nobody knows its field {name}").format(name=one_line(unknown[0]))
        raise _wrong(path, problem, _("use hosts, backend and envs"))
    backend, hosts = values.get("backend", "ring"), values.get("hosts")
    if backend not in ("ring", "nccl", "jaccl"):
        raise _wrong(path, _("its backend is none of ring, nccl, jaccl"), _("leave it out: then it is ring"))
    if not isinstance(hosts, list) or not 1 <= len(hosts) <= MOST_RANKS:
        raise _wrong(path, _("it needs a list of 1 to {most} hosts").format(most=MOST_RANKS))
    envs = _envs(path, values.get("envs", []))
    found = tuple(_host(path, index, host) for index, host in enumerate(hosts))
    if len({"speed" in host.model_fields_set for host in found}) > 1:
        raise _wrong(
            path,
            _("some hosts have a speed and others none, though rows are divided by it"),
            _("give each a speed, or none"),
        )
    _require_addresses(path, World(backend, found))
    if not found[0].is_here:
        if not (found[0].ips and all(map(is_own, found[0].ips))):
            problem = _("the first host has to be this machine, which owns the run")
            raise _wrong(path, problem, _("put it first, with addresses of its own in ips"))
        found = (found[0].model_copy(update={"ssh": "localhost"}), *found[1:])
    world = World(backend, found, envs)
    _require_reachable(path, world)
    return world


def _envs(path: Path, envs: Any) -> tuple[str, ...]:
    """Return the assignments.

    `PATH`, `PYTHONPATH` and `LD_LIBRARY_PATH` are taken: ssh sets none of them, and the file says which
    Python is started anyway.
    """
    fix = _('write it like this: "envs": ["NAME=value"]')
    if not isinstance(envs, list) or len(envs) > _MOST_ENVS:
        raise _wrong(path, _('"envs" is no list of NAME=value'), fix)
    for text in envs:
        if not (isinstance(text, str) and _ASSIGNMENT.fullmatch(text)):
            problem = _('"envs" is no list of NAME=value: {entry} is none')
            raise _wrong(path, problem.format(entry=one_line(json.dumps(text), 60)), fix)
    names, fix = [text.partition("=")[0] for text in envs], _("take it out")
    for name, count in Counter(names).items():
        if count > 1:
            raise _wrong(path, _('"envs" sets {name} twice').format(name=name), _("take one out"))
        if name in _INJECTS:
            raise _wrong(path, _('"envs" sets {name}, which loads foreign code').format(name=name), fix)
        if name in _MOVES:
            raise _wrong(path, _('"envs" sets {name}, which is each machine\'s own').format(name=name), fix)
        if name in _SETS_ITSELF:
            raise _wrong(path, _('"envs" sets {name}, which this program sets').format(name=name), fix)
        if name == _WEDGES:
            raise _wrong(path, _('"envs" sets {name}, which can leave a GPU stuck').format(name=name), fix)
    return tuple(envs)


def _host(path: Path, index: int, values: Any) -> Host:
    source = _("host {number} of {path}").format(number=index + 1, path=path)
    if not isinstance(values, dict):
        raise _wrong(path, _("host {number} is no object").format(number=index + 1))
    try:
        return Host.model_validate(values)
    except ValidationError as error:
        raise refusal(error, Host.model_fields, source) from None


def _require_addresses(path: Path, world: World) -> None:
    """Refuse addresses that cannot be listened on, or that two machines have.

    Raises:
        UserError: with the address or the host.
    """
    machines: dict[str, str] = {}
    fix = _("give each host the addresses of its own network cards in ips")
    for host in world.hosts:
        for text in host.ips:
            address = ipaddress.ip_address(text)
            if address.version == 6:
                raise _wrong(path, _("{address} is of IPv6, which MLX cannot read").format(address=text), fix)
            if address.is_unspecified or address.is_multicast:
                raise _wrong(path, _("{address} is no address of one machine").format(address=text), fix)
            if machines.setdefault(text, host.ssh) != host.ssh:
                raise _wrong(path, _("two hosts have the address {address}").format(address=text), fix)
    for name, count in Counter(host.ssh for host in world.hosts if not host.is_here).items():
        if count > 1:
            raise _wrong(path, _("{host} stands there twice").format(host=name), _("take one out"))
    if len({len(host.ips) or 1 for host in world.hosts}) > 1:
        raise _wrong(path, _("all hosts need equally many addresses in ips"), fix)
    loopback = {ipaddress.ip_address(text).is_loopback for host in world.hosts for text in host.ips}
    if world.is_spread and len(loopback) > 1:
        raise _wrong(path, _("a loopback address such as 127.0.0.1 leads to no other machine"), fix)


def _require_reachable(path: Path, world: World) -> None:
    """Refuse a world whose processes could not find each other.

    Raises:
        UserError: with the host.
    """
    for host in world.hosts:
        if world.is_spread and not host.ips:
            raise _wrong(
                path,
                _("{host} has no address in ips").format(host=host.ssh),
                _('add one of the network between them, as in "ips": ["192.168.2.2"]'),
            )
        if world.backend == "jaccl" and len(host.rdma) != world.size:
            raise _wrong(
                path,
                _("{host} does not name an RDMA device to each host").format(host=host.ssh),
                _("write rdma for each host, null towards itself, or take backend out"),
            )
        for address in host.ips if host.is_here else ():
            if not is_own(address):
                raise _wrong(
                    path,
                    _("{address} is no address of this machine").format(address=address),
                    _("correct it: ipconfig getifaddr en0 tells it on a Mac, hostname -I on Linux"),
                )


def _wrong(path: Path, problem: str, fix: str = "") -> UserError:
    return UserError(
        _("{path} is no host file that can be used: {problem}").format(path=path, problem=problem),
        fix or _like_this(),
    )


def _like_this() -> str:
    return _("write it as {form}, this machine first").format(form=_FORM)
