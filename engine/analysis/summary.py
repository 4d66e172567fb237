"""The figures of a run, all taken from its files."""

import math
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.analysis.history import Floats, RunHistory, load_history
from engine.analysis.overfitting import SLIGHT_RISE, Overfitting, judge_overfitting
from engine.analysis.run_folder import CheckpointInfo, find_checkpoints, run_config
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.training.crash import cut_off_reason
from engine.training.state import RunState

import numpy as np
import psutil

RunStatus = Literal["running", "paused", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class RunSummary:
    """What a run did. Losses are in nats per trained token; None where nothing was measured."""

    folder: Path
    """Where the run's files are."""
    model: str
    status: RunStatus
    reason: str
    """Why it stopped, as the trainer wrote it."""
    config: TrainingConfig | None
    """The run's own, not the one chosen for the next; None if it cannot be read."""
    steps: int
    """Optimizer steps recorded."""
    total_steps: int
    steps_per_epoch: int
    duration_s: float
    """Seconds of training, pauses left out."""
    first_loss: float | None
    """Mean of the first 10 steps, or of the first half where there are fewer than 20."""
    last_loss: float | None
    """The same at the end."""
    late_fall: float | None
    """Share by which the mean loss fell from the second to the last third of the run; from 9 steps."""
    initial_val_loss: float | None
    """Before the first step."""
    best_val_loss: float | None
    """Lowest after a step."""
    best_step: int | None
    last_val_loss: float | None
    last_val_step: int | None
    loss_at_validation: float | None
    """Mean training loss of the 10 steps up to the last validation."""
    overfitting: Overfitting
    wasted_steps: int
    """Steps after the best validation."""
    wasted_s: float
    tokens_per_second: float | None
    """Median over the steps."""
    slowdown: float | None
    """Speed of the last tenth of the steps over that of the first, medians; from 20 steps."""
    tokens: int
    """Real tokens of all steps."""
    tokens_per_epoch: int | None
    """Mean over the whole epochs; None before the first is whole."""
    peak_memory_gb: float | None
    machine_memory_gb: float | None
    """Memory of this machine, if the run was made on it."""
    epoch_losses: tuple[tuple[int, float], ...]
    """Epoch (from 0) and its mean training loss."""
    skipped_steps: int
    """Steps whose loss or gradient was not finite."""
    unreadable_lines: int
    checkpoints: tuple[CheckpointInfo, ...]
    """By step."""

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
    def gap(self) -> float | None:
        """Last validation loss minus the training loss up to it (a later one would widen it)."""
        if self.last_val_loss is None or self.loss_at_validation is None:
            return None
        return self.last_val_loss - self.loss_at_validation

    @property
    def val_rise(self) -> float | None:
        """Last validation loss minus the best one."""
        if self.last_val_loss is None or self.best_val_loss is None:
            return None
        return self.last_val_loss - self.best_val_loss

    @property
    def has_risen(self) -> bool:
        """Whether the last validation lies clearly above the best one."""
        if self.val_rise is None or self.best_val_loss is None:
            return False
        return self.val_rise > SLIGHT_RISE * self.best_val_loss

    @property
    def adapters(self) -> Path | None:
        """Folder of the best adapter, else of the newest checkpoint, else None."""
        best = self.folder / "adapters"
        if (best / "adapters.safetensors").is_file():
            return best
        return self.checkpoints[-1].path if self.checkpoints else None


def summarise(project: Project) -> RunSummary:
    """Read the run in a project and sum it up.

    Raises:
        UserError: there is no run.
    """
    history = load_history(project)
    state = RunState.load(project.state_file)
    if state is None and not len(history):
        raise UserError(
            _("No run in {folder}").format(folder=project.run_dir), _("start one with: mqlora-tui train")
        )
    return summary_of(project, history, state)


def summary_of(project: Project, history: RunHistory, state: RunState | None) -> RunSummary:
    """Sum up a history that is already in memory; with none of its steps made yet, all figures are None."""
    steps, losses = history.points("loss")
    val_steps, val_losses = history.points("val_loss")
    best = int(np.argmin(val_losses)) if len(val_losses) else None
    best_step = int(val_steps[best]) if best is not None else None
    first, last = _ends(losses)
    last_val = float(val_losses[-1]) if len(val_losses) else None
    best_val = float(val_losses[best]) if best is not None else None
    beside = _recent_mean(losses[steps <= val_steps[-1]]) if last_val is not None else None
    duration = float(history.elapsed_s[-1]) if len(history) else 0.0
    per_epoch = state.steps_per_epoch if state else 0
    return RunSummary(
        folder=project.run_dir,
        model=state.model if state else "",
        status=_status(state),
        reason=_reason(state),
        config=run_config(project),
        steps=int(history.step[-1]) if len(history) else 0,
        total_steps=state.total_steps if state else 0,
        steps_per_epoch=per_epoch,
        duration_s=duration,
        first_loss=first,
        last_loss=last,
        late_fall=_late_fall(losses),
        initial_val_loss=state.initial_val_loss if state else None,
        best_val_loss=best_val,
        best_step=best_step,
        last_val_loss=last_val,
        last_val_step=int(val_steps[-1]) if len(val_steps) else None,
        loss_at_validation=beside,
        overfitting=judge_overfitting(beside, best_val, last_val, _has_repeated(history, per_epoch)),
        wasted_steps=int(history.step[-1]) - best_step if best_step is not None else 0,
        wasted_s=duration - _elapsed_at(history, best_step) if best_step is not None else 0.0,
        tokens_per_second=float(np.median(history.tokens_per_second)) if len(history) else None,
        slowdown=_slowdown(history.tokens_per_second),
        tokens=int(history.tokens.sum()),
        tokens_per_epoch=_tokens_per_epoch(history, per_epoch),
        peak_memory_gb=float(history.peak_memory_gb.max()) if len(history) else None,
        machine_memory_gb=_machine_memory_gb(state),
        epoch_losses=_epoch_losses(history),
        skipped_steps=int((~np.isfinite(history.loss) | ~np.isfinite(history.grad_norm)).sum()),
        unreadable_lines=history.unreadable,
        checkpoints=find_checkpoints(project),
    )


def _status(state: RunState | None) -> RunStatus:
    if state is None or (state.status == "running" and not state.is_alive):
        return "interrupted"
    return state.status


def _reason(state: RunState | None) -> str:
    if state is None:
        return _("training_state.json is missing or unreadable")
    return cut_off_reason(state) if _status(state) == "interrupted" else state.reason


def _machine_memory_gb(state: RunState | None) -> float | None:
    if state is None or state.host != socket.gethostname():
        return None
    return float(psutil.virtual_memory().total) / 1e9


def _ends(losses: Floats) -> tuple[float | None, float | None]:
    if not len(losses):
        return None, None
    count = min(10, max(1, len(losses) // 2))
    return float(losses[:count].mean()), float(losses[-count:].mean())


def _recent_mean(losses: Floats) -> float | None:
    return float(losses[-10:].mean()) if len(losses) else None


def _late_fall(losses: Floats) -> float | None:
    third = len(losses) // 3
    if third < 3:
        return None
    middle, end = float(losses[third : 2 * third].mean()), float(losses[2 * third :].mean())
    return 1 - end / middle if middle > 0 else None


def _elapsed_at(history: RunHistory, step: int) -> float:
    return float(history.elapsed_s[np.searchsorted(history.step, step)])


def _slowdown(speeds: Floats) -> float | None:
    tenth = len(speeds) // 10
    if tenth < 2:
        return None
    start = float(np.median(speeds[:tenth]))
    return float(np.median(speeds[-tenth:])) / start if start > 0 else None


def _has_repeated(history: RunHistory, steps_per_epoch: int) -> bool:
    """Whether the run went beyond its first epoch, as far as is known."""
    return not steps_per_epoch or len(history) > steps_per_epoch


def _tokens_per_epoch(history: RunHistory, steps_per_epoch: int) -> int | None:
    whole = len(history) // steps_per_epoch if steps_per_epoch else 0
    return round(int(history.tokens[: whole * steps_per_epoch].sum()) / whole) if whole else None


def _epoch_losses(history: RunHistory) -> tuple[tuple[int, float], ...]:
    known = np.isfinite(history.loss)
    epochs, places = np.unique(history.epoch[known], return_inverse=True)
    means = np.bincount(places, weights=history.loss[known]) / np.maximum(np.bincount(places), 1)
    return tuple(zip(epochs.tolist(), means.tolist(), strict=True))
