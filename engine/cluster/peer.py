"""Another process of a run as its owner sees it: started here or through ssh, heard, and ended."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from engine.cluster.channel import BY_SSH, Channel
from engine.cluster.unreached import CLOSED_PROJECT, CLOSED_PYTHON, NO_PROJECT, NO_PYTHON, why_not_reached
from engine.cluster.world import Host, World
from engine.cores import core_count
from engine.errors import UserError, system_reason
from engine.i18n import _
from engine.i18n.languages import VARIABLE
from engine.project import Project

import psutil

MODULE = "engine.training.rank"
"""What the other processes of a run are."""
SSH = "MQLORA_SSH"
"""Variable with the command to use as ssh, such as "ssh -F config"."""
_ROOT = Path(__file__).parents[2]
"""Where `engine` is found, installed or not."""
_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "--")
_END_S = 5.0
"""Time that a process has to end by itself, in seconds."""
_WAIT_S = 2.0
"""Time that one whose channel is closed has to end, in seconds."""
_SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a program."""
_KEPT = 1 << 16
"""Bytes of its error output that are kept."""


class Peer:
    """One of the other processes."""

    def __init__(
        self, world: World, rank: int, project: Project, log: IO[bytes] | None = None, module: str = MODULE
    ) -> None:
        """Start it.

        Args:
            world: all processes.
            rank: its number.
            project: of the run.
            log: gets what it and ssh write on their error output, besides `told`.
            module: what it runs.

        Raises:
            UserError: it cannot be started.
        """
        self.rank, self.name = rank, world.name(rank)
        self._host = host = world.hosts[rank]
        try:
            self._process = subprocess.Popen(
                _command(world, rank, project, module),
                cwd=_ROOT if host.is_here else None,
                env=_environment(world, rank) if host.is_here else None,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # a Ctrl+C at the terminal is for the owner
            )
        except OSError as error:
            raise UserError(
                _("{name} cannot be started: {reason}").format(name=self.name, reason=system_reason(error)),
                _("correct python in the host file")
                if host.is_here and host.python
                else _("install ssh, or train on one machine: mqlora-tui train"),
            ) from None
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self.channel = Channel(os.fdopen(os.dup(self._process.stdout.fileno()), "rb"), self._process.stdin)
        self._told = b""
        self._listening = threading.Thread(
            target=self._listen, args=(self._process.stderr, log), daemon=True, name=f"errors of {self.name}"
        )
        self._listening.start()

    def _listen(self, errors: IO[bytes], log: IO[bytes] | None) -> None:
        with errors:
            while part := errors.read(_KEPT):
                self._told = (self._told + part)[-_KEPT:]
                if log:
                    with suppress(OSError, ValueError):  # a full disk; closed
                        log.write(part)
                        log.flush()

    @property
    def exit_code(self) -> int | None:
        """How it ended, on another machine too; negative by a signal, None while it runs."""
        code = self._process.poll()
        if self._host.is_here or code is None or not _SIGNALLED < code <= _SIGNALLED + 64:
            return code
        return _SIGNALLED - code

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped the process that was started here (SIGSTOP)."""
        try:
            return bool(psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return False

    @property
    def told(self) -> str:
        """The end of what it and ssh wrote on their error output."""
        return self._told.decode(errors="replace")

    def wait(self) -> None:
        """Wait until it has ended and its last words are there, for a while."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
            self._listening.join(_WAIT_S)

    def why_not_reached(self) -> UserError:
        """Return why it did not begin to answer; called when it is gone, or silent."""
        if self.channel.is_closed:
            self.wait()
        return why_not_reached(self.name, self._host, self.exit_code, self.told, self.channel.noise)

    def end(self) -> None:
        """Close the channel, by which it ends, and see to it that it does."""
        self.channel.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._listening.join(_WAIT_S)  # what ssh leaves behind may hold the other end

    def kill(self) -> None:
        """End it, also one that is stopped; through ssh, the connection by which it lives."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)


def _command(world: World, rank: int, project: Project, module: str) -> list[str]:
    host = world.hosts[rank]
    if not host.is_here:
        return ssh_command(host, project, world.envs, module)
    return local_command(module, host.python if rank else "")  # the first is what the user has started


def local_command(module: str, python: str = "") -> list[str]:
    """Return the command of another process on this machine, with this Python unless another is named."""
    return [python or sys.executable, "-P", "-m", module]


def ssh_command(host: Host, project: Project, envs: Sequence[str], module: str) -> list[str]:
    """Return the command of a process on another machine; paths are as here unless the host says others."""
    python = host.python or sys.executable
    folder = host.project or str(project.root.resolve())
    language = [f"{VARIABLE}={os.environ[VARIABLE]}"] if VARIABLE in os.environ else []
    where, what = shlex.quote(folder), shlex.quote(python)
    script = (
        f"cd {where} || {{ test -d {where} && exit {CLOSED_PROJECT}; exit {NO_PROJECT}; }}; "
        f"test -x {what} || {{ test -e {what} && exit {CLOSED_PYTHON}; exit {NO_PYTHON}; }}; "
        # Not by exec: of a process that a signal ends, ssh tells no code, and the shell does.
        f"{shlex.join(['env', *language, *envs, python, '-P', '-m', module])}; exit $?"
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


def _environment(world: World, rank: int) -> dict[str, str]:
    """Return the variables of another process on this machine: its own card, its part of the cores."""
    values = dict(os.environ) | (dict(text.split("=", 1) for text in world.envs) if rank else {})
    values.pop(BY_SSH, None)  # of who started this one: its owner is on the same machine
    values.setdefault("OPENBLAS_NUM_THREADS", str(threads_of_one(world)))
    if world.backend == "nccl":
        cards = values.get("CUDA_VISIBLE_DEVICES", "").split(",")
        values["CUDA_VISIBLE_DEVICES"] = cards[rank] if len(cards) > rank else str(rank)
    return values


def threads_of_one(world: World) -> int:
    """Return the threads that products have in each process of this machine: its cores are divided."""
    return max(1, core_count() // world.here)
