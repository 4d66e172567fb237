"""What a training loop works on, and how a checkpoint is put back into it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from engine.backend import mx
from engine.cluster.team import Team
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch
from engine.dataset.batches.tokenize import Example
from engine.errors import UserError
from engine.estimate import planned_steps, validation_interval
from engine.i18n import _
from engine.model.adapter import adapter_weights
from engine.model.mlx_lm_adapter import WEIGHTS
from engine.project import Project
from engine.reply import Replier
from engine.training.checkpoint import Checkpoint, RunIdentity
from engine.training.folder_handle import HeldFolder
from engine.training.progress import Progress
from engine.training.retention import OPTIMIZER
from engine.training.setup import Assembled
from engine.training.together import same_everywhere


@dataclass(frozen=True)
class Parts:
    """Model, data and settings of a run, made by the trainer."""

    project: Project
    held: HeldFolder
    """The run's folder."""
    identity: RunIdentity
    assembled: Assembled
    """The model, and how it is trained and scored."""
    replier: Replier
    """The same model, which answers questions."""
    train: Sequence[Example]
    valid: Sequence[MicroBatch]
    valid_examples: int
    vocabulary: int | None
    """How many tokens the model has vectors for; None where that is not known."""
    shapes: tuple[BatchShape, ...]
    """What micro-batches are padded to."""
    micro_batch_divisor: int
    """How many times fewer tokens than usual they hold."""
    team: Team | None = None
    """The other processes that train with this one."""

    @property
    def speeds(self) -> tuple[float, ...]:
        """Of all processes that take part; rows are divided by them."""
        return self.team.world.speeds if self.team else (1.0,)

    @property
    def config(self) -> TrainingConfig:
        """The run's configuration."""
        return self.identity.config

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one epoch; the last may be smaller."""
        return -(-len(self.train) // self.config.examples_per_step)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return planned_steps(self.config, len(self.train))

    @cached_property
    def eval_every(self) -> int:
        """Steps between validations; 0: only where an epoch or the run ends."""
        return validation_interval(self.config, len(self.train), self.valid_examples)

    def begin_together(self) -> None:
        """Let other processes have what this one was given back.

        Raises:
            PeerLost: one of them is gone.
        """
        if self.team:
            made, ring = self.assembled, self.team.ring
            self.team.others.tell("begin")
            self.team.timed(lambda: same_everywhere(ring, made.model, made.step))

    def epoch_of(self, step: int) -> int:
        """Return the epoch, from 0, that optimizer step `step` (from 1) belongs to."""
        return max(0, step - 1) // self.steps_per_epoch

    def is_planned(self, progress: Progress) -> bool:
        """Whether a run that nobody pauses saves a checkpoint here."""
        return self.is_due(progress.step, self.config.save_every) or progress.step == progress.best_step

    def is_due(self, step: int, every: int) -> bool:
        """Whether something done every `every` steps and at the end of each epoch and run is due."""
        is_end = step % self.steps_per_epoch == 0 or step == self.total_steps
        return is_end or (every > 0 and step % every == 0)


def restore(checkpoint: Checkpoint, parts: Parts) -> None:
    """Put adapter, optimizer and random state of a checkpoint back in place.

    Raises:
        UserError: the adapter's parameters are not those of this model.
    """
    weights = mx.load(str(checkpoint.folder / WEIGHTS))
    made = parts.assembled
    expected = adapter_weights(made.model)
    if {name: array.shape for name, array in weights.items()} != {n: a.shape for n, a in expected.items()}:
        raise UserError(
            _("{folder} was made for another model or LoRA layout").format(folder=checkpoint.folder),
            _("begin anew: R in the app, or mqlora-tui train --restart"),
        )
    made.model.load_weights(list(weights.items()), strict=False)
    made.step.restore_optimizer(mx.load(str(checkpoint.folder / OPTIMIZER)))
    high, low = checkpoint.rng
    mx.random.seed(high << 32 | low)  # MLX's key of a seed is its two halves
    mx.eval(made.model.trainable_parameters())
