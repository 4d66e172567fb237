"""`hosts check`: whether the machines of a host file can train together, and how fast that would be."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from engine.cluster.host_file import read_hosts, save_measured
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _, number
from engine.project import Project
from engine.training.asked_host import HostReport
from engine.training.check_hosts import CheckReport, check_hosts
from engine.units import size
from tui.cli.interruptions import told_if_interrupted
from tui.console import cell, err, out, print_json, say, status_mark, table


def check(
    project: Project, configured: Callable[[], TrainingConfig], path: Path, save: bool, as_json: bool
) -> int:
    """Check the hosts, print what was found, and return 1 if they cannot train so, or not faster than one.

    Args:
        project: on this machine.
        configured: returns the run's configuration; it may look at model and data for that.
        path: of the host file.
        save: whether measured values are written into it.
        as_json: whether JSON is printed.

    Raises:
        UserError: the file cannot be used, or this machine cannot train.
    """
    world = read_hosts(path)
    if world.size == 1:
        raise UserError(_("{path} names one host").format(path=path), _("train without it: mqlora-tui train"))

    def progress(text: str) -> None:
        if not as_json:
            say(f"{text} …", err)

    with told_if_interrupted(_("Interrupted; nothing is written into {path}").format(path=path)):
        progress(_("reading the configuration"))
        found = check_hosts(world, project, configured(), progress)
    is_saved = save and not found.has_problems
    if is_saved:
        save_measured(path, found.measured())
    if as_json:
        print_json(_as_json(found) | {"saved": is_saved})
    else:
        _show(found)
        if save:
            say(
                _("Speed and network are written into {path}.").format(path=path)
                if is_saved
                else _("Nothing is written into {path}.").format(path=path)
            )
    is_slower = found.speedup is not None and found.speedup.factor < 1
    return 1 if found.has_problems or is_slower else 0


def _show(found: CheckReport) -> None:
    shown = table("", _("host"), _("memory"), _("disk"), _("MB/s"), _("ms"), _("tokens/s"))
    for host in found.hosts:
        shown.add_row(status_mark("error" if host.problems else "ok"), *map(cell, _cells(host)))
    out.print(shown)
    for host in found.hosts:
        for problem in host.problems:
            say(f" ✗ {problem}")
    if found.has_problems:
        return
    if found.speedup is None:
        say(_("All processes are of one machine: what that brings shows when they train."))
    elif found.speedup.factor < 1:
        say(f" ! {_('Predicted')}: {found.speedup.sentence}.")
        say(_("With --save, `train --hosts` refuses that, unless told --although-slower."))
    else:
        say(f" ✓ {_('Predicted')}: {found.speedup.sentence}.")


def _cells(host: HostReport) -> tuple[str, ...]:
    """Return name and figures; "-" where there is none."""
    return (
        host.name,
        "-" if host.memory is None else size(host.memory),
        "-" if host.disk is None else size(host.disk),
        number(host.link.bandwidth, ".1f") if host.link else "-",
        number(host.link.latency, ".2f") if host.link else "-",
        number(host.speed, ".0f") if host.speed else "-",
    )


def _as_json(found: CheckReport) -> dict[str, object]:
    hosts = [
        {
            "name": host.name,
            "problems": [{"problem": each.problem, "fix": each.fix} for each in host.problems],
            "memory": host.memory,
            "disk": host.disk,
            "bandwidth": host.link and host.link.bandwidth,
            "latency": host.link and host.link.latency,
            "speed": host.speed,
        }
        for host in found.hosts
    ]
    speedup = found.speedup
    predicted = speedup and asdict(speedup) | {"together": speedup.together, "factor": speedup.factor}
    return {"hosts": hosts, "speedup": predicted}
