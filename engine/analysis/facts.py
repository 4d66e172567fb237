"""The facts of a run: what its verdict, its advice and its report are made of, and nothing else is."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.analysis.noise import Difference
from engine.analysis.overfitting import SLIGHT_RISE, Overfitting, growth_of
from engine.analysis.run_folder import CheckpointInfo, WayOn
from engine.config import TrainingConfig

ReportedStatus = Literal["running", "paused", "finished", "failed", "interrupted"]


LEAST_GAIN = 0.005
"""Of a validation loss, nats per token: less than that rounds to 0.00."""


def settled_step(
    best: int | None, best_loss: float | None, enough: int | None, apart: Difference | None
) -> int | None:
    """Return the step after which nothing was gained: see `RunSummary`, whose fields these are.

    That a step is no worse beyond noise tells little where there is much noise: it is certain where the 95 %
    interval has no difference in it that counts.
    """
    if enough is None or apart is None or best_loss is None:
        return best
    return enough if apart.mean + apart.margin <= SLIGHT_RISE * best_loss else best


@dataclass(frozen=True)
class RunSummary:
    """What a run did. Losses are in nats per trained token; None where nothing was measured."""

    folder: Path
    """Where the run's files are."""
    root: Path
    """Of the project."""
    model: str
    status: ReportedStatus
    reason: str
    """Why it stopped, as the trainer wrote it."""
    config: TrainingConfig | None
    """The run's own, not the one chosen for the next; None if it cannot be read."""
    steps: int
    """Optimizer steps recorded."""
    total_steps: int
    steps_per_epoch: int
    duration_s: float
    """Seconds of training, pauses left out; what followed the last step is in it."""
    first_loss: float | None
    """Mean of the first 10 steps, or of the first half where there are fewer than 20."""
    last_loss: float | None
    """The same at the end."""
    late_loss: float | None
    """The median of the same steps: no single one moves it."""
    end_losses: tuple[float, ...]
    """Of the last 10 steps that had a finite one."""
    untrained_loss: float | None
    """Before anything was learnt: the validation before the first step, or that step's own loss if higher."""
    lowest_loss: float | None
    """Lowest mean of some 10 steps in a row."""
    loss_noise: float | None
    """Standard deviation of a single step's loss, its slow course left out; from 9 steps."""
    late_fall: float | None
    """Share by which the mean loss fell from the second to the last third of the run; from 9 steps."""
    initial_val_loss: float | None
    """Before the first step."""
    best_val_loss: float | None
    """Lowest after a step."""
    best_step: int | None
    last_val_loss: float | None
    last_val_step: int | None
    failed_validations: int
    """Validations that were not finite."""
    failed_at_end: int
    """Those of them after the last finite one."""
    initial_gap: float | None
    """Validation loss before the first step minus the mean training loss of the first 3 steps."""
    loss_at_validation: float | None
    """Mean training loss of the 10 steps up to the last validation; of their second half if fewer than 20."""
    loss_at_best: float | None
    """The same up to the best validation."""
    overfitting: Overfitting
    validation_rows: int | None
    """Rows that chance is judged by, or groups of them; None if losses of rows are not known."""
    gain: Difference | None
    """Validation before the first step minus the best, on the same rows."""
    rise: Difference | None
    """Last validation minus the best, on the same rows."""
    gap_margin: float | None
    """Half of the 95 % interval of `gap_growth`; None if not known."""
    enough_step: int | None
    """Earliest step whose validation is not worse than the best beyond noise, see `noise.enough_step`; None
    if losses of rows are not known."""
    enough_val_loss: float | None
    enough: Difference | None
    """Its validation minus the best, on the same rows."""
    wasted_steps: int
    """Steps after `settled_step`."""
    wasted_s: float
    """Seconds of training in them."""
    spikes: int
    """Steps whose loss jumped far above those around it, see `levels.spikes`."""
    early_rise: float | None
    """By how much the loss rose above its first level soon after, nats; None if not, or by chance."""
    late_share: float | None
    """Share of all that the loss fell by that it fell by in its last third; from 9 steps."""
    usual_rate: float | None
    """Learning rate by rule of thumb, see `engine.learning_rate`; None if the model's width is not known."""
    hidden: int | None
    """Width of the model's residual stream."""
    tokens_per_second: float | None
    """Median over the training steps; validations and saving are not in it."""
    slowdown: float | None
    """Speed of the last tenth of the steps over that of the first, medians; from 20 steps."""
    tokens: int
    """Real tokens of all steps."""
    tokens_per_epoch: int | None
    """Mean over the whole epochs; None before the first is whole."""
    peak_memory_gb: float | None
    """Of the first process, where several train together."""
    ranks: int
    """Processes that train together."""
    machine_memory_gb: float | None
    """Memory of this machine, if the run was made on it."""
    epoch_losses: tuple[tuple[int, float], ...]
    """Epoch (from 0) and its mean training loss."""
    skipped_steps: int
    """Steps whose loss or gradient was not finite."""
    skipped_at_end: int
    """Those among the last 10."""
    unreadable_lines: int
    checkpoints: tuple[CheckpointInfo, ...]
    """By step."""
    way_on: WayOn

    @property
    def is_archived(self) -> bool:
        """Whether it is none that commands without a folder mean."""
        return self.folder.parent != self.root

    @property
    def num_epochs(self) -> int:
        """Epochs that the whole run takes, the last of them perhaps in part."""
        if self.steps_per_epoch:
            return math.ceil(self.total_steps / self.steps_per_epoch)
        return self.config.num_epochs if self.config else 1

    @property
    def is_cut_short(self) -> bool:
        """Whether `max_steps` ends the run before its epochs are over."""
        config = self.config
        if config is None or not config.max_steps:
            return False
        return self.total_steps < self.steps_per_epoch * config.num_epochs

    @property
    def improvement_percent(self) -> float | None:
        """By how much the training loss fell, in percent of the first."""
        if self.first_loss is None or self.last_loss is None or self.first_loss <= 0:
            return None
        return 100 * (1 - self.last_loss / self.first_loss)

    @property
    def has_helped(self) -> bool:
        """Whether a validation after some step was better than that of the untrained model."""
        if self.best_val_loss is None:
            return False
        return self.initial_val_loss is None or self.best_val_loss < self.initial_val_loss

    @property
    def settled_step(self) -> int | None:
        """Step after which nothing was gained: `enough_step` where that is certain, else the best."""
        return settled_step(self.best_step, self.best_val_loss, self.enough_step, self.enough)

    @property
    def is_gain_chance(self) -> bool:
        """Whether that validation got better may be chance, or it got better by next to nothing."""
        gain = self.gain
        return self.has_helped and gain is not None and (gain.is_chance or gain.mean < LEAST_GAIN)

    @property
    def end_loss(self) -> float | None:
        """Of the last step that had a finite one."""
        return self.end_losses[-1] if self.end_losses else None

    @property
    def gap(self) -> float | None:
        """Last validation loss minus the training loss up to it (a later one would widen it)."""
        if self.last_val_loss is None or self.loss_at_validation is None:
            return None
        return self.last_val_loss - self.loss_at_validation

    @property
    def gap_growth(self) -> float | None:
        """By how much the gap grew since before the first step, see `growth_of`."""
        return None if self.gap is None else growth_of(self.gap, self.initial_gap)

    @property
    def val_rise(self) -> float | None:
        """Last validation loss minus the best one."""
        if self.last_val_loss is None or self.best_val_loss is None:
            return None
        return self.last_val_loss - self.best_val_loss

    @property
    def has_risen(self) -> bool:
        """Whether the last validation lies clearly above the best one, and not by chance."""
        if self.val_rise is None or self.best_val_loss is None or (self.rise and self.rise.is_chance):
            return False
        return self.val_rise > SLIGHT_RISE * self.best_val_loss

    @property
    def has_risen_in_both(self) -> bool:
        """Whether the training loss, too, rose since the best validation: half as much, and not by chance.

        By chance the means of 10 steps each differ by up to two standard deviations of their difference.
        """
        if not self.has_risen or self.loss_at_validation is None or self.loss_at_best is None:
            return False
        by_chance = 2 * (self.loss_noise or 0.0) * math.sqrt(2 / 10)
        return self.loss_at_validation - self.loss_at_best > max((self.val_rise or 0.0) / 2, by_chance)

    @property
    def adapters(self) -> Path | None:
        """Folder of the best adapter, else of the newest checkpoint, else None."""
        best = self.folder / "adapters"
        if (best / "adapters.safetensors").is_file():
            return best
        return self.checkpoints[-1].path if self.checkpoints else None
