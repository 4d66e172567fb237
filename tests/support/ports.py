"""Ports that nothing listens at, not even the same test of another process."""

import socket

from engine.serve.port import ADDRESS


def unused_port() -> int:
    """Return one that the system draws: of two processes that ask at once, each gets its own."""
    with socket.socket() as drawn:
        drawn.bind((ADDRESS, 0))
        port: int = drawn.getsockname()[1]
    return port
