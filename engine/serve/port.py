"""Ports of this machine's own address, on which nobody from outside can call."""

import errno
import socket

from engine.errors import UserError, system_reason
from engine.i18n import _

ADDRESS = "127.0.0.1"
USUAL = 8080
"""Where mlx-lm's server and other ones listen, if nothing else is said."""
_LAST = 65535


def listen(port: int) -> socket.socket:
    """Return a socket that takes connections to a port of `ADDRESS`.

    Raises:
        UserError: it is in use, with the next free one, or not allowed.
    """
    if _answers(
        port
    ):  # where another program has the port of every address, macOS would give it all the same
        raise _in_use(port)
    try:
        return _bound(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise _in_use(port) from None
        raise UserError(
            _("Cannot listen on port {port}: {reason}").format(port=port, reason=system_reason(error)),
            _("take a port of 1024 or above, such as: mqlora-tui serve --port {port}").format(
                port=next_free(max(port + 1, USUAL))
            ),
        ) from None


def next_free(port: int) -> int:
    """Return the first free port from `port` on; 0 where there is none."""
    for candidate in range(port, _LAST + 1):
        try:
            if not _answers(candidate):
                _bound(candidate).close()
                return candidate
        except OSError:
            pass  # the next one may be free
    return 0


def _bound(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just given up is free
        listening.bind((ADDRESS, port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as calling:
        calling.settimeout(1.0)
        return calling.connect_ex((ADDRESS, port)) == 0


def _in_use(port: int) -> UserError:
    free = next_free(port + 1) or next_free(USUAL)
    return UserError(
        _("Port {port} is in use by another program").format(port=port),
        _("take the next free one: mqlora-tui serve --port {port}").format(port=free),
    )
