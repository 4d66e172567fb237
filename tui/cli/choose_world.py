"""Which processes train together, as options of the command line say."""

import os
import re
from dataclasses import replace
from pathlib import Path

from engine.cluster.host_file import read_hosts, write_hosts
from engine.cluster.peer import threads_of_one
from engine.cluster.world import ALONE, MOST_RANKS, Backend, World, local_world
from engine.cores import core_count
from engine.errors import UserError
from engine.i18n import _, ngettext
from engine.project import Project
from engine.sanitize import one_line
from tui.console import err, say
from tui.run.machines import cards

AUTO = "auto"


def chosen_world(
    ranks: str | None, hosts: Path | None, go_on_with_fewer: bool = False, although_slower: bool = False
) -> World:
    """Return the processes that train together; MLX must not be imported yet.

    Args:
        ranks: a number of processes of this machine, "auto", or None.
        hosts: a host file.
        go_on_with_fewer: whether a run of several may go on without one of them.
        although_slower: whether it begins where one machine would be faster.

    Raises:
        UserError: the options contradict each other, or the file cannot be used.
    """
    if ranks is not None and hosts:
        raise UserError(_("--ranks and --hosts were both given"), _("give one of them"))
    world = read_hosts(hosts) if hosts else ALONE if ranks is None else _local(ranks)
    if hosts and world.size == 1:
        say(_("{path} names one host: this machine trains alone").format(path=hosts), err)
    elif ranks == AUTO and world.size == 1:
        say(_("There are not several NVIDIA cards here: this process trains alone"), err)
    if go_on_with_fewer and world.size == 1:
        raise UserError(_("--go-on-with-fewer needs several processes"), _("give --ranks or --hosts with it"))
    if although_slower and not hosts:
        raise UserError(_("--although-slower goes with --hosts"), _("leave it out, or name a host file"))
    world = replace(world, may_be_slower=although_slower)
    if world.size > 1:  # the cores of this machine are divided, see `engine.blas`
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads_of_one(world)))
    return world


def world_options(project: Project, world: World, go_on_with_fewer: bool) -> list[str]:
    """Return the options by which another process of `train` gets the same processes.

    Raises:
        OSError: a host file cannot be written into the run's folder.
    """
    if world.size == 1:
        return []
    fewer = ["--go-on-with-fewer"] * go_on_with_fewer
    if world == local_world(world.size, world.backend):
        return ["--ranks", str(world.size), *fewer]
    return ["--hosts", str(write_hosts(world, project.run_dir)), *fewer]


def _local(ranks: str) -> World:
    backend: Backend = "nccl" if cards() else "ring"
    if ranks == AUTO:
        # Without cards one: the GPU of a Mac computes for all of them, and on a CPU, where two of one thread
        # each are half as fast again as one, each holds the whole model, for which there must be room.
        return local_world(len(cards()) or 1, backend)
    if not re.fullmatch("[+-]?[0-9]{1,9}", ranks):
        raise UserError(
            _("--ranks '{value}' is no number of processes").format(value=one_line(ranks, 40)),
            _("give a whole number from 1 to {most}, or auto").format(most=MOST_RANKS),
        )
    world = local_world(int(ranks), backend)
    if backend == "ring" and world.size > (cores := core_count()):
        text = ngettext(
            "{n} core for {ranks} processes: more than one brings nothing, and each holds the model",
            "{n} cores for {ranks} processes: more than {n} bring nothing, and each holds the model",
            cores,
        )
        say(text.format(n=cores, ranks=world.size), err)
    return world
