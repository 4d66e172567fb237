"""Connecting that cannot wait for ever.

While MLX's ring accepts a connection, no other thread of Python runs in this process: none could notice that
the process that was to connect is gone. So another process connects in its place after a while; what was
connected then fails like any other lost connection.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

CONNECT_S = 12.0
"""Seconds that one process may wait for the next one, once all are ready."""
_PROGRAM = """
import select, socket, sys, time
is_over = lambda seconds: bool(select.select([0], [], [], seconds)[0])  # the one that waits is gone
kept, ends = [], time.monotonic() + 4 * float(sys.argv[1])
if is_over(float(sys.argv[1])):
    sys.exit()
for address in sys.argv[2:]:
    host, port = address.rsplit(":", 1)
    while time.monotonic() < ends:
        try:
            kept.append(socket.create_connection((host, int(port)), 1))
            break
        except OSError:
            if is_over(0.1):
                sys.exit()
is_over(None)
"""


@contextmanager
def let_go(addresses: Sequence[str]) -> Iterator[None]:
    """See to it that nothing in the block waits for connections for longer than some `CONNECT_S`.

    Args:
        addresses: where this process listens in the block, in this order: "address:port".
    """
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(CONNECT_S), *addresses]
    helper = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        helper.kill()
        helper.communicate()
