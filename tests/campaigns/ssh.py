"""A run over SSH whose connection is cut.

Starts an SSH server of its own on this machine (its own keys, a free port of the
loopback interface, nothing left afterwards), trains in the app and headless through
it, and kills the client, or the server's process of the session. Each time the run
has to be saved within a step, go on in the background and be told of.
"""

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.project import Project
from tests.campaigns.signal_cases import TRAINING
from tests.campaigns.signal_checks import end_of_background, processes_of
from tests.campaigns.signals import Attempt, make_project, press_start, status, steps, wait_for
from tests.support.terminal import Terminal
from tui.run.handover import has_notice

import psutil

CLIENT, SESSION = "client killed", "server's session killed"
CUTS = (CLIENT, SESSION)
_CONFIG = """\
ListenAddress {address}
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/client_key.pub
AllowUsers {user}
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile {folder}/sshd.pid
"""


@dataclass(frozen=True)
class Server:
    """An SSH server on the loopback interface."""

    pid: int
    command: tuple[str, ...]
    """Connects a client with a terminal; what shall run there follows."""


class NoServer(Exception):
    """There is no SSH server to try with, for the reason given."""


@contextmanager
def server(folder: Path, address: str = "127.0.0.1", within: Sequence[str] = ()) -> Iterator[Server]:
    """Run a server with keys and settings in `folder`.

    Args:
        folder: an empty one.
        address: where it listens.
        within: what its command is started with, such as another network namespace.

    Raises:
        NoServer: OpenSSH is not installed or does not start.
    """
    sshd, ssh, keygen = (_program(name) for name in ("sshd", "ssh", "ssh-keygen"))
    for name in ("host_key", "client_key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = _free_port()
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(port=port, folder=folder, address=address, user=getpass.getuser()))
    Path("/run/sshd").mkdir(exist_ok=True)  # where OpenSSH locks itself in on Debian
    command = [*within, sshd, "-D", "-f", str(config), "-E", str(folder / "log")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait_until_it_listens((address, port), process, folder / "log")
        yield Server(process.pid, (
            ssh, "-tt", "-p", str(port), "-i", str(folder / "client_key"), "-F", "none",
            "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}",
            "-o", "LogLevel=ERROR", f"{getpass.getuser()}@{address}",
        ))  # fmt: skip
    finally:
        for child in (*psutil.Process(process.pid).children(recursive=True), process):
            child.kill()
        process.wait()


def attempt(program: str, cut: str, folder: Path) -> Attempt:
    """Lose one connection."""
    project = make_project(TRAINING, folder / "project")
    with server(folder) as ssh:
        client = _connect(ssh, program, project)
        try:
            wait_for(lambda: steps(project) >= 2, client)
            before, began = steps(project), time.monotonic()
            _cut(cut, ssh, client)
            wait_for(lambda: status(project) == "paused", client)
            pause_s, made = time.monotonic() - began, steps(project)
        finally:
            client.kill()
        faults = end_of_background(project, made)
    if made > before + 1:
        faults.append(f"{made - before} steps after the cut")
    if not has_notice(project):
        faults.append("nothing tells of the lost connection")
    for process in processes_of(project):
        faults.append(f"process {process.pid} is left")
        process.kill()
    return Attempt(tuple(faults), pause_s, 0)


def _connect(ssh: Server, program: str, project: Project) -> Terminal:
    """Log in and start a run."""
    command = [sys.executable, "-P", "-m", "tui", "-C", str(project.root)]
    command += ["train"] * (program == "headless")
    # The shell stays, as after a login, and gets the hang-up too.
    remote = f"OPENBLAS_NUM_THREADS=1 {shlex.join(command)}; exit $?"
    client = Terminal(remote, command=ssh.command, columns=120, rows=40)
    if program == "app":
        press_start(client)
    return client


def _cut(how: str, ssh: Server, client: Terminal) -> None:
    if how == CLIENT:
        os.kill(client.pid, signal.SIGKILL)
    else:
        for process in psutil.Process(ssh.pid).children(recursive=True):
            if process.name().startswith("sshd"):
                process.kill()


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise NoServer(f"{name} is not installed")
    return path


def _wait_until_it_listens(where: tuple[str, int], process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _look in range(100):
        if process.poll() is not None:
            raise NoServer(f"sshd does not start: {log.read_text().strip()}")
        with contextlib.suppress(OSError), socket.create_connection(where, 1):
            return
        time.sleep(0.1)
    raise NoServer("sshd does not listen")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
