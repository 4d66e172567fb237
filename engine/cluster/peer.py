"""Another process of a run as its owner sees it: started here or through ssh, heard, and ended."""

import os
import re
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
from engine.i18n.languages import VARIABLE
from engine.project import Project
from engine.sanitize import one_line

import psutil

MODULE = "engine.training.rank"
"""What the other processes of a run are."""
SSH = "MQLORA_SSH"
"""Variable with the command to use as ssh, such as "ssh -F config"."""
NO_PROJECT, NO_PYTHON = 81, 82
"""Exit codes of what is started on another machine where a path leads nowhere."""
_ROOT = Path(__file__).parents[2]
"""Where `engine` is found, installed or not."""
_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "--")
_END_S = 5.0
"""Time that a process has to end by itself, in seconds."""


class Peer:
    """One of the other processes."""

    def __init__(
        self, world: World, rank: int, project: Project, log: IO[bytes], module: str = MODULE
    ) -> None:
        """Start it.

        Args:
            world: all processes.
            rank: its number.
            project: of the run.
            log: gets what it and ssh write on their error output.
            module: what it runs.

        Raises:
            UserError: it cannot be started.
        """
        self.rank, self.name = rank, world.name(rank)
        host = world.hosts[rank]
        try:
            self._process = subprocess.Popen(
                local_command(module) if host.is_here else ssh_command(host, project, world.envs, module),
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


def local_command(module: str) -> list[str]:
    """Return the command of another process on this machine."""
    return [sys.executable, "-P", "-m", module]


def ssh_command(host: Host, project: Project, envs: Sequence[str], module: str) -> list[str]:
    """Return the command of a process on another machine; paths are as here unless the host says others."""
    python = host.python or sys.executable
    folder = host.project or str(project.root.resolve())
    language = [f"{VARIABLE}={os.environ[VARIABLE]}"] if VARIABLE in os.environ else []
    script = (
        f"cd {shlex.quote(folder)} || exit {NO_PROJECT}; "
        f"command -v {shlex.quote(python)} >/dev/null || exit {NO_PYTHON}; "
        f"exec {shlex.join(['env', *language, *envs, python, '-P', '-m', module])}"
    )
    # The shell of that user may be any; this is for the one that all machines have.
    return [*ssh_program(), *_OPTIONS, host.ssh, f"exec sh -c {shlex.quote(script)}"]


def ssh_program() -> list[str]:
    """Return the command of ssh, with the options that the user's environment gives it.

    Raises:
        UserError: it cannot be read.
    """
    text = os.environ.get(SSH, "") or "ssh"
    try:
        return shlex.split(text)
    except ValueError:
        raise UserError(
            _("{name} is no command: {text}").format(name=SSH, text=text), _("correct it, or unset it")
        ) from None


def why_not_reached(name: str, host: Host, code: int | None, told: str) -> UserError:
    """Return why a process on another machine did not begin to answer.

    Args:
        name: of the host in sentences.
        host: the machine.
        code: exit code of ssh, which is that of the process where ssh reached one; None if it goes on.
        told: what ssh and the process wrote on their error output.
    """
    known = (
        (code is None, _("does not answer"), _("see whether it is awake and on the network")),
        (code == NO_PROJECT, _("has no such project folder"), _("copy the project, or name project for it")),
        (code == NO_PYTHON, _("has no such Python"), _("install at the same path, or name python for it")),
        ("ould not resolve" in told or "not known" in told, _("is a name that is not known here"),
         _("correct ssh in the host file, or ~/.ssh/config")),
        ("refused" in told, _("refuses connections by ssh"), _("switch remote login on there")),
        ("imed out" in told or "unreachable" in told or "No route" in told, _("cannot be reached"),
         _("see whether it is awake and on the network")),
        ("verification failed" in told or "key is known" in told, _("has a host key that is not known here"),
         _("log in once by hand: ssh {host}").format(host=host.ssh)),
        ("ermission denied" in told, _("does not accept this user's key"),
         _("let it in: ssh-copy-id {host}").format(host=host.ssh)),
    )  # fmt: skip
    if found := next(((problem, fix) for holds, problem, fix in known if holds), None):
        return UserError(f"{name}: {found[0]}", found[1])
    if missing := re.search(r"No module named '?([\w.]+)", told):
        return UserError(
            _("{name}: its Python lacks {module}").format(name=name, module=missing[1]),
            _("install mqlora-tui there as here"),
        )
    last = next(reversed(told.strip().splitlines()), _("nothing was told"))
    return UserError(
        _("{name} could not be started: {reason}").format(name=name, reason=one_line(last, 200)),
        _("try by hand: ssh {host}").format(host=host.ssh),
    )


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
