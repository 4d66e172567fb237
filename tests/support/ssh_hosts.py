"""Machines to train on that are one, reached through an SSH server of the test's own."""

import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.cluster.peer import SSH
from tests.campaigns.ssh import NoServer, server

import pytest

ROOT = Path(__file__).parents[2]
_CONFIG = """\
Host mac*
  HostName {address}
Host * !stranger
  IdentityFile {folder}/client_key
Host stranger
  HostName 127.0.0.1
  IdentityFile {folder}/host_key
Host changed
  HostName {address}
  HostKeyAlias changed
  StrictHostKeyChecking yes
Host *
  Port {port}
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile {folder}/known
  LogLevel ERROR
"""


@contextmanager
def ssh_hosts(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str = "127.0.0.1", within: Sequence[str] = ()
) -> Iterator[None]:
    """Let ssh reach this machine under names that begin with mac; skip the test where no server starts.

    Args:
        folder: for keys and settings.
        monkeypatch: sets the variable that names the command.
        address: where the server listens.
        within: what the server's command is started with, such as another network namespace.
    """
    folder.mkdir()
    try:
        with server(folder, address, within) as running:
            port = running.command[running.command.index("-p") + 1]
            config = folder / "ssh_config"
            config.write_text(_CONFIG.format(port=port, folder=folder, address=address))
            monkeypatch.setenv(SSH, shlex.join([shutil.which("ssh") or "ssh", "-F", str(config)]))
            yield
    except NoServer as reason:
        pytest.skip(str(reason))


def two_hosts(**second: Any) -> dict[str, Any]:
    """Return a host file of this machine, and of it once more by ssh at another loopback address."""
    other = {"ssh": "mac2", "ips": ["127.0.0.2"], "python": sys.executable}
    envs = [f"PYTHONPATH={ROOT}", "OPENBLAS_NUM_THREADS=1"]
    return {"backend": "ring", "envs": envs, "hosts": [{"ips": ["127.0.0.1"]}, other | second]}
