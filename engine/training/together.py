"""What all processes of a run do besides steps: begin with the same numbers, validate, prove to be equal."""

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from engine.backend import mx, nn
from engine.cluster.channel import SCORED
from engine.cluster.collective import Ring
from engine.cluster.team import Team
from engine.dataset.batches.divide import divide
from engine.dataset.batches.micro_batch import MicroBatch
from engine.errors import UserError
from engine.i18n import _
from engine.model.adapter import adapter_weights
from engine.training.progress import Scored
from engine.training.scores import ScoreFunction, row_losses
from engine.training.step import StepFunction

import numpy as np

_OPTIMIZER = "optimizer."


def same_everywhere(ring: Ring, model: nn.Module, step: StepFunction) -> None:
    """Give every process the adapter and the optimizer's state of the first one; all call this at once.

    Raises:
        RuntimeError: a process went away.
    """
    shared = ring.share(training_state(model, step))
    weights = {name: array for name, array in shared.items() if not name.startswith(_OPTIMIZER)}
    optimizer = {n.removeprefix(_OPTIMIZER): a for n, a in shared.items() if n.startswith(_OPTIMIZER)}
    model.load_weights(list(weights.items()), strict=False)
    step.restore_optimizer(optimizer)
    mx.eval(model.trainable_parameters())


def training_state(model: nn.Module, step: StepFunction) -> dict[str, mx.array]:
    """Return all that training changes, by name, in one order: adapter and optimizer."""
    optimizer = {f"{_OPTIMIZER}{name}": array for name, array in step.optimizer_arrays().items()}
    return dict(sorted((adapter_weights(model) | optimizer).items()))


def digest(arrays: Mapping[str, mx.array]) -> str:
    """Return the SHA-256 over the bytes of arrays."""
    sha256 = hashlib.sha256()
    for name, array in arrays.items():
        mx.eval(array)
        sha256.update(name.encode())
        sha256.update(np.array(array.reshape(-1).view(mx.uint8)).tobytes())
    return sha256.hexdigest()


def require_equal(team: Team, model: nn.Module, step: StepFunction) -> None:
    """Compare adapter and optimizer of all processes.

    Raises:
        PeerLost: a process is gone.
        UserError: they are not the same, byte for byte.
    """
    own = digest(training_state(model, step))
    for rank, message in enumerate(team.others.ask("digest"), start=1):
        if message.get("sha256") != own:
            raise UserError(
                _("{name} has other weights than the owner of the run at the same step").format(
                    name=team.world.name(rank)
                ),
                _("go on without it from the last checkpoint: mqlora-tui train --resume"),
            )


def validation_shares(batches: Sequence[MicroBatch], speeds: Sequence[float]) -> list[list[int]]:
    """Return which batches each process scores."""
    return divide([batch.shape.tokens for batch in batches], speeds)


def scores(
    model: nn.Module, score: ScoreFunction, batches: Sequence[MicroBatch], chosen: Sequence[int]
) -> Generator[tuple[int, list[float]], None, None]:
    """Yield (index, summed loss of each row) of some batches, one after the other."""
    model.eval()
    try:
        for index in chosen:
            yield index, row_losses(model, score, batches[index])
    finally:
        model.train()


def evaluate_together(
    team: Team, model: nn.Module, score: ScoreFunction, batches: Sequence[MicroBatch], before: Scored
) -> Iterator[Scored]:
    """Score `batches` with all processes; see `engine.training.scores.evaluate`.

    What comes last is what one process would find: every batch is scored once, as a whole, and the losses
    are added up in their order.

    Raises:
        PeerLost: a process is gone.
    """
    shares = validation_shares(batches, team.world.speeds)
    losses: dict[int, list[float]] = {}
    team.others.tell("score", begin=before.batches)
    mine = [index for index in shares[0] if index >= before.batches]
    for index, found in scores(model, score, batches, mine):
        losses[index] = found
        yield (before := _add_up(before, losses, batches))
    others = team.others.answers(SCORED) if before.batches < len(batches) else iter(())
    for message in others:
        scored = message.get("index")
        values: Any = message.get("losses")
        # A message without an index is an empty one: nobody has told anything yet.
        if isinstance(scored, int) and scored in shares[message["rank"]] and _fits(values, batches[scored]):
            losses[scored] = values
            yield (before := _add_up(before, losses, batches))
        if before.batches == len(batches):
            return


def _fits(values: Any, batch: MicroBatch) -> bool:
    """Whether what another process told is a loss for each row."""
    is_list = isinstance(values, list) and len(values) == len(batch.row_targets)
    return is_list and all(isinstance(value, float) for value in values)


def _add_up(scored: Scored, losses: Mapping[int, Sequence[float]], batches: Sequence[MicroBatch]) -> Scored:
    """Add the losses that are known and follow each other."""
    while (loss := losses.get(scored.batches)) is not None:
        scored = scored.plus(loss, batches[scored.batches].trained_tokens)
    return scored
