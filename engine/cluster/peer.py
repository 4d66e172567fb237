"""Another process of a run as its owner sees it: started here or through ssh, heard, and ended."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from engine.cluster.channel import Channel
from engine.cluster.world import Host, World
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project

import psutil

MODULE = "engine.training.rank"
"""What the other processes run."""
_ROOT = Path(__file__).parents[2]
"""Where `engine` is found, installed or not."""
_SSH = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "--")
_END_S = 5.0
"""Time that a process has to end by itself, in seconds."""


class Peer:
    """One of the other processes."""

    def __init__(self, world: World, rank: int, project: Project, log: IO[bytes]) -> None:
        """Start it.

        Args:
            world: all processes.
            rank: its number, 1 or more.
            project: of the run.
            log: gets what it and ssh write on their error output.

        Raises:
            UserError: it cannot be started.
        """
        self.rank, self.name = rank, world.name(rank)
        host = world.hosts[rank]
        try:
            self._process = subprocess.Popen(
                local_command() if host.is_here else ssh_command(host, project, world.envs),
                cwd=_ROOT if host.is_here else None,
                env=_environment(world, rank) if host.is_here else None,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,  # a Ctrl+C at the terminal is for the owner
            )
        except OSError as error:
            raise UserError(
                _("{name} cannot be started: {reason}").format(name=self.name, reason=error.strerror),
                _("install ssh, or train on one machine: mqlora-tui train"),
            ) from None
        assert self._process.stdin and self._process.stdout
        self.channel = Channel(os.fdopen(os.dup(self._process.stdout.fileno()), "rb"), self._process.stdin)

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped the process that was started here (SIGSTOP)."""
        try:
            return bool(psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return False

    def end(self) -> None:
        """Close the channel, by which it ends, and see to it that it does."""
        self.channel.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it, also one that is stopped; through ssh, the connection by which it lives."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)


def local_command() -> list[str]:
    """Return the command of another process on this machine."""
    return [sys.executable, "-P", "-m", MODULE]


def ssh_command(host: Host, project: Project, envs: Sequence[str]) -> list[str]:
    """Return the command of a process on another machine; paths are as here unless the host says others."""
    python = host.python or sys.executable
    folder = host.project or str(project.root.resolve())
    words = ["env", *envs, python, "-P", "-m", MODULE]
    return [*_SSH, host.ssh, f"cd {shlex.quote(folder)} && exec {shlex.join(words)}"]


def _environment(world: World, rank: int) -> dict[str, str]:
    """Return the variables of another process on this machine: its own card, its part of the cores."""
    values = dict(os.environ) | dict(text.split("=", 1) for text in world.envs)
    values.setdefault("OPENBLAS_NUM_THREADS", str(threads_of_one(world)))
    if world.backend == "nccl":
        cards = values.get("CUDA_VISIBLE_DEVICES", "").split(",")
        values["CUDA_VISIBLE_DEVICES"] = cards[rank] if len(cards) > rank else str(rank)
    return values


def threads_of_one(world: World) -> int:
    """Return the threads that products have in each process of this machine: its cores are divided."""
    return max(1, (os.cpu_count() or 1) // world.here)
