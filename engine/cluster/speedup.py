"""How long a step takes on several machines, from what was measured of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.cluster.world import World
from engine.config import TrainingConfig
from engine.dataset.batches.divide import divide
from engine.dataset.batches.micro_batch import epoch_steps
from engine.errors import UserError
from engine.i18n import _, number
from engine.memory.predict import trainable_parameters
from engine.model_folder.dimensions import ModelDimensions

FLOAT32 = 4
"""Bytes of a gradient's number."""
_STEPS = 100
"""Steps that are looked at."""


@dataclass(frozen=True)
class Speedup:
    """What training together brings, in seconds a step."""

    tokens: float
    """Of a step."""
    alone: float
    """On the fastest of the machines."""
    computing: float
    """Until the slowest process has computed its rows."""
    summing: float
    """Of the gradient's sum over the network."""
    bytes: int
    """Of the gradient."""

    @property
    def together(self) -> float:
        """Seconds of a step on all machines."""
        return self.computing + self.summing

    @property
    def factor(self) -> float:
        """How many times as fast as one machine."""
        return self.alone / self.together

    @property
    def sentence(self) -> str:
        """What it is made of, in words."""
        return _(
            "a step takes {together} s together, {summing} s of it for the sum of {megabytes} MB, and "
            "{alone} s on the fastest machine alone: a speed-up of {factor}"
        ).format(
            together=number(self.together, ".2f"),
            summing=number(self.summing, ".2f"),
            megabytes=number(self.bytes / 1e6, ".1f"),
            alone=number(self.alone, ".2f"),
            factor=number(self.factor, ".2f"),
        )


def predict(world: World, lengths: Sequence[int], config: TrainingConfig, trainable: int) -> Speedup | None:
    """Predict the step time of a run; None where speed and network were not measured, or all is one machine.

    The sum goes round in a ring of N processes: 2 (N - 1) parts of 1/N of the gradient, one after the
    other, through each link (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters
    of workstations", 2009); the slowest link and the longest delay count.

    Args:
        world: who takes part.
        lengths: tokens of each training example.
        config: the run's configuration.
        trainable: weights of the adapter.
    """
    others = [host for host in world.hosts if not host.is_here]
    if not others or not all(host.bandwidth for host in others) or not lengths:
        return None
    steps = epoch_steps(lengths, config.examples_per_step, config.seed, 0)[:_STEPS]
    tokens, computing = 0, 0.0
    for step in steps:
        rows = [lengths[row] for row in step]
        tokens += sum(rows)
        shares = divide(rows, world.speeds)
        computing += max(
            sum(rows[row] for row in share) / speed for share, speed in zip(shares, world.speeds, strict=True)
        )
    here = sum(host.speed for host in world.hosts if host.is_here)  # its processes divide its cores
    fastest = max([here, *(host.speed for host in others)])
    rounds, size = 2 * (world.size - 1), trainable * FLOAT32
    summing = rounds / world.size * size / (min(host.bandwidth for host in others) * 1e6)
    summing += rounds * max(host.latency for host in others) / 1e3
    each = len(steps)
    return Speedup(tokens / each, tokens / fastest / each, computing / each, summing, size)


def refuse_if_slower(
    world: World, lengths: Sequence[int], config: TrainingConfig, folder: Path, is_new: bool
) -> str:
    """Let no run begin that one machine would be done with sooner, as far as that was measured.

    Args:
        world: who takes part.
        lengths: tokens of each training example.
        config: the run's configuration.
        folder: of the base model.
        is_new: whether the run begins; one that goes on is not held up.

    Returns:
        A warning where it is slower and still not refused; else nothing.

    Raises:
        UserError: it is slower, and nobody said that it may be.
    """
    sizes = ModelDimensions.read(folder) if world.is_spread else None
    found = predict(world, lengths, config, trainable_parameters(sizes, config)) if sizes else None
    if found is None or found.factor >= 1:
        return ""
    if is_new and not world.may_be_slower:
        raise UserError(
            _("One machine alone would be faster, by what the host file says: {reason}").format(
                reason=found.sentence
            ),
            _("train without --hosts, with more examples a step, or all the same with --although-slower"),
        )
    return _("One machine alone would be faster: {reason}").format(reason=found.sentence)
