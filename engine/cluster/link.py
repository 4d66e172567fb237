"""What the network between two machines gives: bytes a second and delay, measured over TCP.

One side listens, on one address of the host file, for one connection that begins with a token which
both were told over ssh; then it stops. What is sent is zeros: so much or so long, and no more.
"""

import hmac
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

MOST_BYTES = 16_000_000
MOST_S = 3.0
"""Seconds of sending at most."""
WAIT_S = 10.0
"""Seconds that one side waits for the other at most."""
TOKEN_BYTES = 32
"""Length of a token, ASCII."""
_PINGS = 20
_CHUNK = bytes(1 << 16)
_COUNT = struct.Struct("!Q")


@dataclass(frozen=True)
class Link:
    """A connection between two machines."""

    bandwidth: float
    """MB (1e6 bytes) a second."""
    latency: float
    """Milliseconds one way."""


class Listener:
    """Listens on one address of this machine for one measurement."""

    def __init__(self, address: str, token: str) -> None:
        """Begin to listen.

        Args:
            address: IPv4, of this machine.
            token: what the one connection that is meant begins with.

        Raises:
            OSError: the address is not this machine's.
        """
        self._token = token.encode()
        self._socket = socket.create_server((address, 0), backlog=4)
        self.port = int(self._socket.getsockname()[1])

    def serve(self) -> None:
        """Take part in one measurement; nobody can connect afterwards.

        Raises:
            OSError: nobody with the token came, or went away meanwhile.
        """
        with self._accepted() as connection:
            for _ping in range(_PINGS):
                connection.sendall(_exactly(connection, 1))
            limit, count = time.monotonic() + WAIT_S, 0
            while count < MOST_BYTES and time.monotonic() < limit and (part := connection.recv(1 << 18)):
                count += len(part)
            connection.sendall(_COUNT.pack(count))

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def _accepted(self) -> socket.socket:
        limit = time.monotonic() + WAIT_S
        try:
            while (left := limit - time.monotonic()) > 0:
                self._socket.settimeout(left)
                connection, _address = self._socket.accept()
                connection.settimeout(min(left, 2.0))
                with suppress(OSError):
                    if hmac.compare_digest(_exactly(connection, TOKEN_BYTES), self._token):
                        _ready(connection)
                        return connection
                connection.close()
        finally:
            self.close()
        raise TimeoutError("nobody came")


def measure(address: str, port: int, token: str) -> Link:
    """Measure the way to a `Listener` on another machine.

    Raises:
        OSError: it cannot be reached, or went away meanwhile.
    """
    with socket.create_connection((address, port), timeout=WAIT_S) as connection:
        _ready(connection)
        connection.sendall(token.encode())
        delays = []
        for _ping in range(_PINGS):
            begin = time.perf_counter()
            connection.sendall(b"\0")
            _exactly(connection, 1)
            delays.append(time.perf_counter() - begin)
        begin, sent = time.perf_counter(), 0
        while sent < MOST_BYTES and time.perf_counter() - begin < MOST_S:
            sent += connection.send(_CHUNK[: MOST_BYTES - sent])
        if sent < MOST_BYTES:
            connection.shutdown(socket.SHUT_WR)
        (count,) = _COUNT.unpack(_exactly(connection, _COUNT.size))
        seconds = time.perf_counter() - begin
    return Link(min(count, sent) / seconds / 1e6, min(delays) * 1e3 / 2)


def is_own(address: str) -> bool:
    """Whether an IPv4 address is one of this machine's."""
    with socket.socket() as listening:
        try:
            listening.bind((address, 0))
        except (OSError, OverflowError):
            return False
    return True


def _ready(connection: socket.socket) -> None:
    connection.settimeout(WAIT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _exactly(connection: socket.socket, count: int) -> bytes:
    """Return the next so many bytes.

    Raises:
        OSError: they do not come.
    """
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise ConnectionResetError("the other side has gone")
        received += part
    return received
