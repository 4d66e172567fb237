"""Asks the machines of a host file whether they can train together, and how fast that would be."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from engine.cluster.speedup import Speedup, predict
from engine.cluster.world import World
from engine.config import TrainingConfig
from engine.i18n import _
from engine.project import Project
from engine.training.asked_host import AskedHost, HostReport
from engine.training.host_answers import look


@dataclass(frozen=True)
class CheckReport:
    """What was found of all hosts."""

    hosts: tuple[HostReport, ...]
    speedup: Speedup | None
    """Predicted; None where something is missing for that, or all is one machine."""

    @property
    def has_problems(self) -> bool:
        """Whether a run with these hosts would be refused, or fail."""
        return any(host.problems for host in self.hosts)

    def measured(self) -> list[dict[str, float]]:
        """Return what a host file keeps of each host."""
        kept = []
        for host in self.hosts:
            values = {"speed": round(host.speed, 1)} if host.speed else {}
            if host.link:
                values |= {"bandwidth": round(host.link.bandwidth, 3), "latency": round(host.link.latency, 3)}
            kept.append(values)
        return kept


def check_hosts(
    world: World, project: Project, config: TrainingConfig, progress: Callable[[str], None]
) -> CheckReport:
    """Look at all hosts, measure their network and their speed.

    Args:
        world: from a host file.
        project: on this machine.
        config: of the run.
        progress: told what is done next.

    Raises:
        UserError: this machine itself cannot train so.
    """
    named = config if config.model else config.updated({"model": project.model_name("")})
    with ExitStack() as resources:
        progress(_("reaching the hosts"))
        asked = [AskedHost(world, rank, project, named, resources) for rank in range(world.size)]
        progress(_("versions, data and model"))
        own = look(project, named)
        lengths = _lengths(project, named)
        _each(asked, lambda one: one.compare(own))
        for one in asked:
            if not one.host.is_here and not one.report.problems:
                progress(_("network to {host}").format(host=one.report.name))
                one.measure_links(world.hosts[0].ips)
        if not any(one.report.problems for one in asked):
            progress(_("tokens a second, a few steps on each"))
            _each(asked, lambda one: one.measure_speed(world.sharing_memory))
    reports = tuple(one.report for one in asked)
    return CheckReport(reports, _speedup(world, reports, lengths, named, asked[0].trainable))


def _each(asked: Sequence[AskedHost], work: Callable[[AskedHost], None]) -> None:
    """Do something with all hosts at once; who interrupts that waits for no answer any more."""
    with ThreadPoolExecutor(len(asked)) as pool:
        try:
            list(pool.map(work, asked))
        except BaseException:  # also Ctrl+C, after which the pool would wait for its threads
            for one in asked:
                one.give_up()
            raise


def _lengths(project: Project, config: TrainingConfig) -> list[int]:
    from engine.dataset.inspect.load import load_file
    from engine.dataset.inspect.model_tokens import example_tokenizer

    tokenize = example_tokenizer(project.model_dir(config.model), config)
    return [len(row.tokens) for row in load_file(project.train_file, tokenize, config).examples]


def _speedup(
    world: World,
    reports: Sequence[HostReport],
    lengths: Sequence[int],
    config: TrainingConfig,
    trainable: int,
) -> Speedup | None:
    """Predict with what was measured; None where a figure is missing."""
    if any(report.speed is None for report in reports):
        return None
    hosts = []
    for host, report in zip(world.hosts, reports, strict=True):
        values: dict[str, float] = {"speed": report.speed or 0.0}
        if report.link:
            values |= {"bandwidth": report.link.bandwidth, "latency": report.link.latency}
        hosts.append(host.model_copy(update=values))
    return predict(replace(world, hosts=tuple(hosts)), lengths, config, trainable)
