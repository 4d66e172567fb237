"""Sums over the processes of a run, through `mx.distributed`, that can be called off.

A sum blocks until every process takes part, and MLX has no limit for that: a frozen peer would hold
all others up for ever. The ring's connections are TCP, so whoever watches can shut them down in this
process, and the sum that waits for them fails at once, with everything before it intact.
"""

import json
import os
import socket
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from engine.backend import mx
from engine.cluster.connecting import let_go
from engine.cluster.world import Backend
from engine.errors import UserError, system_reason
from engine.i18n import _

_MOST_FILES = 4096
"""Descriptors that are looked at for connections of the ring."""
Ports = Sequence[Sequence[str]]
"""Of each process, where it listens: "address:port"."""


class Ring:
    """A group of processes, of which this is one."""

    def __init__(
        self, backend: Backend, rank: int, ports: Ports, devices: Sequence[Sequence[str | None]] = ()
    ) -> None:
        """Connect; returns when all processes have.

        Once in the life of a process: MLX keeps a group for good.

        Args:
            backend: how it connects.
            rank: of this process.
            ports: of all.
            devices: for jaccl, the RDMA devices of each host towards each other one.

        Raises:
            RuntimeError: another process went away meanwhile, or the backend is not to be had here.
            UserError: the disk is full.
        """
        self._backend, self._numbers = backend, {int(p.rpartition(":")[2]) for own in ports for p in own}
        waiting = let_go(ports[rank]) if backend == "ring" else nullcontext()
        with _environment(backend, rank, ports, devices), waiting:
            self._group = mx.distributed.init(strict=True, backend=backend)
        self.rank, self.size = rank, len(ports)
        if (self._group.rank(), self._group.size()) != (rank, len(ports)):
            raise RuntimeError("the group that connected is another one")

    @property
    def is_on_device(self) -> bool:
        """Whether sums are operations of the device like others: then nothing needs to wait for them."""
        return self._backend == "nccl"

    def sum(self, array: mx.array) -> mx.array:
        """Return the sum of all processes' arrays, the same bytes everywhere.

        With TCP it is computed here and now: nothing on a GPU waits for the network, and what the sum was
        made of is still there if it fails.

        Args:
            array: of the same shape and dtype in all processes.

        Raises:
            RuntimeError: a process went away, or `call_off`.
        """
        if self.is_on_device:
            return mx.distributed.all_sum(array, group=self._group)
        mx.eval(array)
        total = mx.distributed.all_sum(array, group=self._group, stream=mx.cpu)
        mx.eval(total)
        return total

    def share(self, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
        """Return the first process's arrays, bit for bit; the others give only names, shapes and dtypes.

        Raises:
            RuntimeError: see `sum`.
        """
        # As bytes: as numbers, -0.0 plus the others' 0.0 would be 0.0.
        flat = [array.reshape(-1).view(mx.uint8) for array in arrays.values()]
        whole = mx.concatenate(flat) if flat else mx.zeros(0, mx.uint8)
        received = self.sum(whole if self.rank == 0 else mx.zeros_like(whole))
        mx.eval(received)
        shared, begin = {}, 0
        for name, array in arrays.items():
            part = received[begin : begin + array.nbytes]
            shared[name] = part.view(array.dtype).reshape(array.shape)
            begin += array.nbytes
        return shared

    def call_off(self) -> bool:
        """Let a sum that waits in another thread fail; False where this backend offers no way to."""
        if self._backend != "ring":
            return False
        for number in range(3, _MOST_FILES):
            with suppress(OSError):
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    self._shut_down(number)
        return True

    def _shut_down(self, number: int) -> None:
        """Shut down a connection of the ring; the descriptor stays MLX's own."""
        with socket.socket(fileno=os.dup(number)) as connection:
            ends = (connection.getsockname(), connection.getpeername())
            if any(isinstance(end, tuple) and end[1] in self._numbers for end in ends):
                connection.shutdown(socket.SHUT_RDWR)


def free_ports(addresses: Sequence[str]) -> list[str]:
    """Return "address:port" with a port that is free now, for each address of this machine.

    Raises:
        OSError: an address is not this machine's.
    """
    found, held = [], []
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        held.append(listening)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((address, 0))
        except OSError:
            for each in held:
                each.close()
            raise
        found.append(f"{address}:{listening.getsockname()[1]}")
    for each in held:
        each.close()
    return found


class _environment:
    """Sets the variables that MLX reads when it connects (those of `mlx.launch`), and takes them back."""

    def __init__(
        self, backend: Backend, rank: int, ports: Ports, devices: Sequence[Sequence[str | None]]
    ) -> None:
        self._files: list[Path] = []
        host, _colon, port = ports[0][0].rpartition(":")
        self._values = {"MLX_RANK": str(rank)}
        match backend:
            case "ring":
                self._values["MLX_HOSTFILE"] = self._file([list(own) for own in ports])
            case "nccl":
                self._values |= {"NCCL_HOST_IP": host, "NCCL_PORT": port, "MLX_WORLD_SIZE": str(len(ports))}
            case "jaccl":
                self._values["MLX_IBV_DEVICES"] = self._file([list(row) for row in devices])
                self._values["MLX_JACCL_COORDINATOR"] = ports[0][0]
        self._before: dict[str, str | None] = {}

    def _file(self, content: object) -> str:
        """Write what MLX takes from a file only, and return its path.

        Raises:
            UserError: it cannot be written.
        """
        try:
            descriptor, name = tempfile.mkstemp(suffix=".json")
            self._files.append(Path(name))
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
        except OSError as error:  # also where no folder could be written into
            self._remove()
            raise UserError(
                _("The addresses cannot be written to a temporary file for MLX: {reason}").format(
                    reason=system_reason(error)
                ),
                _("free some disk space there, or name another folder as TMPDIR"),
            ) from None
        return name

    def _remove(self) -> None:
        for path in self._files:
            path.unlink(missing_ok=True)

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._values}
        os.environ.update(self._values)

    def __exit__(self, *_error: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._remove()
