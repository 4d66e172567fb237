"""Why a process on another machine did not begin to answer, from what ssh and it said.

That may be another machine's words: the sentences are ours, and quote as little of it as can be.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from engine.cluster.world import Host
from engine.errors import UserError
from engine.i18n import _
from engine.sanitize import one_line

NO_PROJECT, NO_PYTHON, CLOSED_PROJECT, CLOSED_PYTHON = 81, 82, 83, 84
"""Exit codes of what is started on another machine where a path leads nowhere, or may not be used."""
_SSH_FAILED = 255
"""Exit code of ssh itself."""
_Reason = tuple[str, str]
"""What is wrong with a host, and the fix."""


def why_not_reached(name: str, host: Host, code: int | None, told: str, said: str = "") -> UserError:
    """Return why a process on another machine did not begin to answer.

    Args:
        name: of the host in sentences.
        host: the machine.
        code: exit code of ssh, which is that of the process where ssh reached one; None if it goes on.
        told: what ssh and the process wrote on their error output.
        said: what came in the place of a first answer, if that was none.
    """
    reasons = chain(_of_what_came(said), _of_code(code), _of_ssh(host, code, told), _of_python(told))
    if found := next(reasons, None):
        return UserError(f"{name}: {found[0]}", found[1])
    last = next(reversed(told.strip().splitlines()), _("nothing was told"))
    return UserError(
        _("{name} could not be started: {reason}").format(name=name, reason=one_line(last, 200)),
        "" if host.is_here else _("try by hand: ssh {host}").format(host=host.ssh),
    )


def _of_what_came(said: str) -> Iterator[_Reason]:
    if said:
        yield (
            _("its login printed '{text}', where only answers may stand").format(
                text=one_line(said.strip(), 80)
            ),
            _("let the start files of the shell there print nothing without a terminal"),
        )


def _of_code(code: int | None) -> Iterator[_Reason]:
    if code is None:
        yield _("does not answer"), _("see whether it is awake and on the network")
    elif code < 0:
        yield _("was ended by {signal}").format(signal=signal_name(-code)), _("see whether memory ran out")
    elif code == NO_PROJECT:
        yield _("has no such project folder"), _("copy the project, or name project for it")
    elif code == NO_PYTHON:
        yield _("has no such Python"), _("install at the same path, or name python for it")
    elif code == CLOSED_PROJECT:
        yield _("does not let this user into the project folder"), _("change the owner or mode of it there")
    elif code == CLOSED_PYTHON:
        yield _("does not let this user run that Python"), _("change its mode, or name python for it")


def signal_name(number: int) -> str:
    """Return what a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:  # one of those without a name
        return str(number)


def _of_ssh(host: Host, code: int | None, told: str) -> Iterator[_Reason]:
    """Yield what ssh complains of; a process that it reached may use the same words of something else."""
    if code != _SSH_FAILED:
        return
    machine = host.ssh.rpartition("@")[2]
    if "ould not resolve" in told or "not known" in told:
        yield _("is a name that is not known here"), _("correct ssh in the host file, or ~/.ssh/config")
    if "refused" in told:
        yield _("refuses connections by ssh"), _("switch remote login on there")
    if "imed out" in told or "unreachable" in told or "No route" in told:
        yield _("cannot be reached"), _("see whether it is awake and on the network")
    if "IDENTIFICATION HAS CHANGED" in told:
        yield (
            _("has another host key than before, so it may be another machine"),
            _("if it was set up anew: ssh-keygen -R {machine}, then log in by hand: ssh {host}").format(
                machine=machine, host=host.ssh
            ),
        )
    if "verification failed" in told or "key is known" in told:
        yield (
            _("has a host key that is not known here"),
            _("log in once by hand: ssh {host}").format(host=host.ssh),
        )
    if "UNPROTECTED PRIVATE KEY" in told:
        yield (
            _("is not logged into, as others can read the file of this user's key"),
            _("make it private: chmod 600 on the key in ~/.ssh"),
        )
    if "ermission denied" in told or "authentication failures" in told:
        yield (
            _("does not accept this user's key"),
            _(
                "let it in: ssh-copy-id {host}, load a key that has a passphrase: ssh-add, or name another "
                "user: USER@{machine} as ssh in the host file"
            ).format(host=host.ssh, machine=machine),
        )


def _of_python(told: str) -> Iterator[_Reason]:
    fix = _("install mqlora-tui there as here")
    missing = re.search(r"No module named '?([\w.]+)", told)
    if missing and missing[1] == "engine":
        yield _("its Python has no mqlora-tui"), fix
    elif "cannot import name" in told or (missing and missing[1].startswith("engine.")):
        yield _("its mqlora-tui is of another version"), fix
    elif missing:
        yield _("its Python lacks {module}").format(module=missing[1]), fix
    if "SyntaxError" in told:
        yield _("its Python is too old"), _("name python for it, of the same version as here")
    if "No space left" in told:
        yield _("its disk is full"), _("free some disk space there")


@contextmanager
def copy_of_the_project(folder: Path) -> Iterator[None]:
    """Say of what a project lacks that it is to be copied: on another machine nothing else helps the owner.

    Raises:
        UserError: what the block raises, with that advice.
    """
    try:
        yield
    except UserError as error:
        fix = _("copy the data and the models of the project to {folder} there").format(folder=folder)
        raise UserError(error.problem, fix) from None
