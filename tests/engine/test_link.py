"""The measurement of a network, and what is predicted from one."""

import socket
import threading
from dataclasses import replace

from engine.cluster.link import MOST_BYTES, Link, Listener, measure
from engine.cluster.speedup import predict, refuse_if_slower
from engine.cluster.unreached import CLOSED_PROJECT, CLOSED_PYTHON, NO_PROJECT, NO_PYTHON, why_not_reached
from engine.cluster.world import Host, World
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.project import Project
from tests.support.tiny import RUN

import pytest

TOKEN = "ab" * 16


def test_one_connection_with_the_token_is_measured_and_then_nobody_is_heard() -> None:
    """A stranger is sent away, and does not take the place."""
    listener = Listener("127.0.0.1", TOKEN)
    serving = threading.Thread(target=listener.serve, daemon=True)
    serving.start()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as stranger:
        stranger.sendall(b"x" * len(TOKEN))
        assert stranger.recv(1) == b""
    link = measure("127.0.0.1", listener.port, TOKEN)
    serving.join(10)
    assert not serving.is_alive()
    assert isinstance(link, Link) and link.bandwidth > 0 and link.latency > 0
    with pytest.raises(OSError):
        measure("127.0.0.1", listener.port, TOKEN)


def test_no_more_is_read_than_agreed() -> None:
    """Whoever sends on without an end is answered after so many bytes."""
    listener = Listener("127.0.0.1", TOKEN)
    serving = threading.Thread(target=listener.serve, daemon=True)
    serving.start()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as greedy:
        greedy.sendall(TOKEN.encode())
        for _ping in range(20):
            greedy.sendall(b"\0")
            assert greedy.recv(1) == b"\0"
        greedy.sendall(bytes(MOST_BYTES))
        count = int.from_bytes(greedy.recv(8), "big")
        assert MOST_BYTES <= count < MOST_BYTES + (1 << 18)
    serving.join(10)
    assert not serving.is_alive()


def test_the_prediction_is_the_formula_of_the_ring() -> None:
    """Two and three machines, worked out by hand."""
    config = TrainingConfig(batch_size=4, gradient_accumulation=1)
    here, other = Host(speed=1000.0), Host(ssh="mac2", speed=1000.0, bandwidth=100.0, latency=1.0)
    world = World("ring", (here, other))
    lengths = [500] * 8
    found = predict(world, lengths, config, trainable=10_000_000)  # 40 MB of float32
    assert found is not None
    # 4 rows of 500: two on each, 1 s; the sum: 2 x 1/2 x 40 MB at 100 MB/s and 2 delays of 1 ms.
    assert (found.tokens, found.alone, found.computing) == (2000, 2.0, 1.0)
    assert found.summing == pytest.approx(0.4 + 0.002)
    assert found.factor == pytest.approx(2 / 1.402)
    three = replace(world, hosts=(*world.hosts, Host(ssh="mac3", speed=500.0, bandwidth=10.0, latency=3.0)))
    found = predict(three, lengths, config, trainable=10_000_000)
    assert found is not None
    assert found.computing == 1.0  # two rows, one, and one that takes as long
    assert found.summing == pytest.approx(4 / 3 * 40 / 10 + 4 * 0.003)
    assert found.factor < 1


def test_without_measured_values_nothing_is_predicted() -> None:
    """Neither for machines whose network is unknown, nor for the processes of one."""
    config = TrainingConfig()
    for hosts in ((Host(), Host(ssh="mac2", speed=5.0)), (Host(speed=5.0), Host(speed=5.0))):
        assert predict(World("ring", hosts), [9] * 20, config, 1000) is None


def test_a_run_that_one_machine_does_faster_does_not_begin_unless_told(project: Project) -> None:
    """One that goes on is warned of it, and where nothing was measured nothing is said."""
    slow = World("ring", (Host(speed=9e5), Host(ssh="mac2", speed=9e5, bandwidth=0.1, latency=50.0)))
    folder, lengths = project.models_dir / "tiny", [50] * 20
    with pytest.raises(UserError, match="One machine alone would be faster") as refused:
        refuse_if_slower(slow, lengths, RUN, folder, is_new=True)
    assert "--although-slower" in refused.value.fix
    warning = refuse_if_slower(slow, lengths, RUN, folder, is_new=False)
    assert "would be faster" in warning
    assert refuse_if_slower(replace(slow, may_be_slower=True), lengths, RUN, folder, is_new=True) == warning
    unknown = replace(slow, hosts=(Host(), Host(ssh="mac2")))
    assert refuse_if_slower(unknown, lengths, RUN, folder, is_new=True) == ""


CHANGED = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @"
OPEN_KEY = "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @"


@pytest.mark.parametrize(
    ("code", "told", "reason"),
    [
        (None, "", "does not answer"),
        (NO_PROJECT, "", "no such project folder"),
        (NO_PYTHON, "", "no such Python"),
        (CLOSED_PROJECT, "sh: cd: /p: Permission denied", "does not let this user into the project folder"),
        (CLOSED_PYTHON, "", "does not let this user run that Python"),
        (-9, "", "was ended by SIGKILL"),
        (255, "ssh: Could not resolve hostname mac2: Name or service not known", "a name that is not known"),
        (255, "ssh: connect to host mac2 port 22: Connection refused", "refuses connections"),
        (255, "ssh: connect to host mac2 port 22: Operation timed out", "cannot be reached"),
        (255, "Host key verification failed.", "has a host key that is not known here"),
        (255, f"{CHANGED}\nHost key verification failed.", "another host key than before"),
        (255, "me@mac2: Permission denied (publickey).", "does not accept this user's key"),
        (
            255,
            f"{OPEN_KEY}\nme@mac2: Permission denied (publickey).",
            "others can read the file of this user's key",
        ),
        (255, "Received disconnect: Too many authentication failures", "does not accept this user's key"),
        (1, "/usr/bin/python3: Error while finding module\nNo module named 'engine'", "has no mqlora-tui"),
        (1, "No module named engine.training.rank", "mqlora-tui is of another version"),
        (1, "ImportError: cannot import name 'x' from 'engine.cluster'", "is of another version"),
        (1, "ModuleNotFoundError: No module named 'mlx'", "its Python lacks mlx"),
        (1, "SyntaxError: invalid syntax", "its Python is too old"),
        (1, "OSError: [Errno 28] No space left on device: '/tmp/x'", "its disk is full"),
        (1, "PermissionError: Permission denied", "could not be started: PermissionError: Permission denied"),
        (1, "\x1b[2Jodd", r"could not be started: \x1b[2Jodd"),
    ],
)
def test_why_a_host_is_not_reached(code: int | None, told: str, reason: str) -> None:
    """From what ssh says, which is quoted only where it is not known."""
    error = why_not_reached("mac2", Host(ssh="mac2"), code, told)
    assert error.problem.startswith("mac2") and reason in error.problem and error.fix


def test_what_a_login_prints_is_shown() -> None:
    """It comes where the first answer is due, so that nothing after it can be read."""
    error = why_not_reached("mac2", Host(ssh="mac2"), None, "", "Welcome\x1b[2J!")
    assert r"its login printed 'Welcome\x1b[2J!'" in error.problem and "start files" in error.fix
