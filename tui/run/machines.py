"""Which processes train together: what was chosen in the app, and what a run was started with."""

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from engine.cluster.host_file import read_hosts, write_hosts
from engine.cluster.world import MOST_RANKS, World
from engine.cores import core_count
from engine.errors import UserError, system_reason, write_fix
from engine.files import read_own, write_json
from engine.i18n import _, ngettext
from engine.project import Project
from engine.sanitize import one_line
from engine.training.lock_file import Owner
from engine.values import json_reason

import msgspec

FORMAT = 1
"""Of the file; one with a higher number is left as it is."""
_MOST_BYTES = 64 << 10
_RANKS, _HOSTS = "--ranks", "--hosts"


class Machines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processes that train together; as in the file, whose fields may be left out.

    It is no setting of a run, which may go on with others.
    """

    format: Annotated[int, msgspec.Meta(ge=1, le=FORMAT)] = FORMAT
    ranks: Annotated[int, msgspec.Meta(ge=0, le=MOST_RANKS)] = 1
    """How many processes; 0 where that is not known."""
    hosts: str = ""
    """Path of the host file that names them; empty: they are of this machine."""
    without: Annotated[int, msgspec.Meta(ge=0, lt=MOST_RANKS)] = 0
    """Number of a process of the host file that is left out; 0: none is."""
    go_on_with_fewer: bool = False
    """Whether the others go on where one is lost."""

    @property
    def is_several(self) -> bool:
        """Whether a run needs more than one process."""
        return bool(self.hosts) or self.ranks != 1

    @property
    def words(self) -> str:
        """What they are called in sentences, such as "2 processes of this machine"."""
        if not self.is_several:
            return _("this machine alone")
        if not self.ranks:
            return _("several processes")
        file = one_line(Path(self.hosts).name, 60)
        text = (
            ngettext("{n} machine of {file}", "{n} machines of {file}", self.ranks)
            if self.hosts
            else ngettext("{n} process of this machine", "{n} processes of this machine", self.ranks)
        )
        return text.format(n=self.ranks, file=file)

    def options(self, project: Project) -> list[str]:
        """Return the options of `mqlora-tui train` that start them.

        Raises:
            UserError: the host file cannot be used any more.
            OSError: the shortened one cannot be written.
        """
        if not self.is_several:
            return []
        options = [_RANKS, str(self.ranks)]
        if self.hosts:
            path, world = Path(self.hosts), read_hosts(Path(self.hosts))
            if 0 < self.without < world.size:
                path = write_hosts(world.without(self.without), project.run_dir)
            options = [_HOSTS, str(path)]
        return [*options, *(["--go-on-with-fewer"] * self.go_on_with_fewer)]

    def save(self, project: Project) -> None:
        """Keep the choice beside the project's run.

        Raises:
            UserError: it cannot be written.
        """
        path = _file(project)
        try:
            project.make_run_dir()
            write_json(path, msgspec.to_builtins(self))
        except OSError as error:
            raise UserError(
                _("Cannot write {path}: {reason}").format(path=path, reason=system_reason(error)),
                write_fix(error),
            ) from None


THIS_MACHINE = Machines()
"""One process."""


def load_machines(project: Project) -> Machines:
    """Return what was chosen; one process where nothing was.

    Raises:
        UserError: the file cannot be read or used.
    """
    path = _file(project)
    try:
        return msgspec.json.decode(read_own(path, _MOST_BYTES), type=Machines)
    except FileNotFoundError:
        return THIS_MACHINE
    except OSError as error:
        reason = system_reason(error)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason = json_reason(error)
    raise UserError(
        _("The choice of machines in {path} cannot be used: {reason}").format(path=path, reason=reason),
        _("choose them again: m on Train"),
    )


def machines_of(owner: Owner | None) -> Machines:
    """Return what the process that trains was started with; one process where that cannot be seen."""
    import psutil  # not at start-up

    if owner is None or not (owner.is_local and owner.pid):
        return THIS_MACHINE
    try:
        words = psutil.Process(owner.pid).cmdline()
    except (psutil.Error, ValueError, OverflowError):
        return THIS_MACHINE
    ranks, hosts = _value(words, _RANKS), _value(words, _HOSTS)
    if hosts:
        try:
            return Machines(ranks=read_hosts(Path(hosts)).size, hosts=hosts)
        except UserError:  # it was changed since
            return Machines(ranks=0, hosts=hosts)
    number = int(ranks) if ranks.isascii() and ranks.isdigit() else sensible_ranks() if ranks else 1
    return Machines(ranks=min(number, MOST_RANKS))


def _value(words: Sequence[str], option: str) -> str:
    """Return what follows an option on a command line; empty where it was not given."""
    for word, following in pairwise([*words, ""]):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def sensible_ranks() -> int:
    """Return how many processes of this machine make sense: one a card, or one a core."""
    return len(cards()) or core_count()


def sense_of_ranks() -> str:
    """Say the same in a sentence."""
    if found := len(cards()):
        text = ngettext(
            "{n} NVIDIA card: one process.", "{n} NVIDIA cards: a process for each, at most {n}.", found
        )
        return text.format(n=found)
    if sys.platform == "darwin":
        return _("One GPU computes for all processes of a Mac: more than one brings nothing.")
    cores = core_count()
    text = ngettext(
        "{n} core: more than one process brings nothing.",
        "{n} cores, divided among the processes: more than {n} bring nothing.",
        cores,
    )
    return text.format(n=cores)


def cards() -> list[str]:
    """Return the NVIDIA cards that this process may use."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [card for card in chosen.split(",") if card.strip()]
    return sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))


def described(world: World) -> list[tuple[str, str, float | None]]:
    """Return name, addresses and speed of each process of a host file, harmless to a screen.

    The speed is None where the file says none: then it was not measured.
    """
    return [
        (
            one_line(world.name(rank), 60) if rank else _("this machine"),
            one_line(", ".join(host.ips), 60),
            host.speed if "speed" in host.model_fields_set else None,
        )
        for rank, host in enumerate(world.hosts)
    ]


def _file(project: Project) -> Path:
    return project.run_dir / "machines.json"
