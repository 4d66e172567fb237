"""Sums a run up: every fact that is told of it, taken from its files once."""

import socket
from datetime import datetime
from typing import Any

from engine.analysis import levels
from engine.analysis.facts import ReportedStatus, RunSummary
from engine.analysis.run_folder import find_checkpoints, model_folder, model_width, run_config, way_on
from engine.analysis.validation_facts import validation_facts
from engine.analysis.validations import validations_of
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.learning_rate import usual_rate
from engine.optimizer_facts import RATE_FACTORS
from engine.project import Project
from engine.training.crash import cut_off_reason
from engine.training.history import Floats, Ints, RunHistory, load_history
from engine.training.state import RunState, known_state, reason_of

import numpy as np
import psutil


def summarise(project: Project) -> RunSummary:
    """Read the run in a project and sum it up.

    Raises:
        UserError: there is no run, another version wrote its files, or what has the name of its metrics
            is no plain file, far too large or not readable.
    """
    history = load_history(project)
    state = known_state(project.state_file)
    if state is None and not len(history):
        raise UserError(
            _("No run in {folder}").format(folder=project.run_dir), _("start one with: mqlora-tui train")
        )
    return summary_of(project, history, state)


def summary_of(project: Project, history: RunHistory, state: RunState | None) -> RunSummary:
    """Sum up a history that is already in memory; with none of its steps made yet, all figures are None."""
    config = run_config(project)
    per_epoch = state.steps_per_epoch if state else 0
    known = history.points("loss")
    noise = levels.noise(known[1])
    return RunSummary(
        folder=project.run_dir,
        root=project.root,
        model=state.model if state else "",
        status=_status(state),
        reason=_reason(state),
        config=config,
        steps=int(history.step[-1]) if len(history) else 0,
        total_steps=state.total_steps if state else 0,
        steps_per_epoch=per_epoch,
        duration_s=_duration(history, state),
        loss_noise=noise,
        **_loss_facts(history, known[1], noise, state),
        **validation_facts(project, history, known, validations_of(history, config, state), noise, state),
        **_rate_facts(project, config, state),
        tokens_per_second=float(np.median(history.tokens_per_second)) if len(history) else None,
        slowdown=levels.slowdown(history.tokens_per_second),
        tokens=int(history.tokens.sum()),
        tokens_per_epoch=_tokens_per_epoch(history, per_epoch),
        peak_memory_gb=float(history.peak_memory_gb.max()) if len(history) else None,
        ranks=state.ranks if state else 1,
        machine_memory_gb=machine_memory_gb(state),
        epoch_losses=_epoch_losses(history),
        unreadable_lines=history.unreadable,
        checkpoints=find_checkpoints(project),
        way_on=way_on(project),
    )


def _duration(history: RunHistory, state: RunState | None) -> float:
    """Return the seconds up to the last step, and those in which its session then validated and saved.

    When a crash or another session wrote the state file does not count: that was no training.
    """
    if not len(history):
        return 0.0
    elapsed = float(history.elapsed_s[-1])
    if state is None or _status(state) not in ("running", "paused", "finished"):
        return elapsed
    try:
        began, written = (datetime.fromisoformat(text).timestamp() for text in (state.started, state.updated))
    except (ValueError, OverflowError, OSError):  # a year that the system's clock does not have
        return elapsed
    is_of_its_session = began <= history.ended and state.step == history.step[-1]
    return elapsed + max(0.0, written - history.ended) if is_of_its_session else elapsed


def _loss_facts(
    history: RunHistory, losses: Floats, noise: float | None, state: RunState | None
) -> dict[str, Any]:
    """Return the fields of a summary that its finite `losses`, and their `noise`, give."""
    first, last = levels.ends(losses)
    is_bad = ~np.isfinite(history.loss) | ~np.isfinite(history.grad_norm)
    return {
        "first_loss": first,
        "last_loss": last,
        "late_loss": levels.late_median(losses),
        "end_losses": tuple(losses[-levels.RECENT :].tolist()),
        "untrained_loss": _untrained_loss(history, state),
        "lowest_loss": levels.lowest_level(losses),
        "late_fall": levels.late_fall(losses),
        "late_share": levels.late_share(losses),
        "spikes": levels.spikes(losses, noise),
        "early_rise": levels.early_rise(losses, noise),
        "skipped_steps": int(is_bad.sum()),
        "skipped_at_end": int(is_bad[-levels.RECENT :].sum()),
    }


def _rate_facts(project: Project, config: TrainingConfig | None, state: RunState | None) -> dict[str, Any]:
    """Return the fields of a summary that the model's width gives."""
    hidden, family = model_width(model_folder(project.root, state.model)) if state else (None, "")
    usual = usual_rate(hidden, state.total_steps, family) if state and hidden and state.total_steps else None
    factor = RATE_FACTORS[config.optimizer] if config else 1.0
    return {"hidden": hidden, "usual_rate": None if usual is None else factor * usual}


def _untrained_loss(history: RunHistory, state: RunState | None) -> float | None:
    """Return what is known of the model before its first update; one step alone does not tell enough."""
    if state is None or state.initial_val_loss is None:
        return None
    first = history.loss[(history.step == 1) & np.isfinite(history.loss)]
    known: list[float] = [state.initial_val_loss, *first.tolist()]
    return max(known)


def _status(state: RunState | None) -> ReportedStatus:
    if state is None or (state.status == "running" and not state.is_alive):
        return "interrupted"
    return state.status


def _reason(state: RunState | None) -> str:
    if state is None:
        return _("training_state.json is missing or unreadable")
    return cut_off_reason(state) if _status(state) == "interrupted" else reason_of(state)


def machine_memory_gb(state: RunState | None) -> float | None:
    """Return the memory of the machine that made the run, GB (1e9 bytes); None if that is not this one."""
    if state is None or state.host != socket.gethostname():
        return None
    return float(psutil.virtual_memory().total) / 1e9


def _tokens_per_epoch(history: RunHistory, steps_per_epoch: int) -> int | None:
    """Return the mean over the epochs of which every step is recorded."""
    if not steps_per_epoch or not len(history):
        return None
    _epochs, sums, counts = _by_epoch(history.epoch, history.tokens)
    whole = sums[counts == steps_per_epoch]
    return round(float(whole.mean())) if len(whole) else None


def _epoch_losses(history: RunHistory) -> tuple[tuple[int, float], ...]:
    known = np.isfinite(history.loss)
    epochs, sums, counts = _by_epoch(history.epoch[known], history.loss[known])
    return tuple(zip(epochs.tolist(), (sums / counts).tolist(), strict=True))


def _by_epoch(epochs: Ints, values: Ints | Floats) -> tuple[Ints, Floats, Ints]:
    """Return the epochs, and of each the sum and number of its values; its steps mostly stand together."""
    begins = np.flatnonzero(np.diff(epochs, prepend=-1))
    found, places = np.unique(epochs[begins], return_inverse=True)
    sums = np.add.reduceat(values, begins) if len(begins) else np.empty(0)
    lengths = np.diff(begins, append=len(epochs))
    totals, counts = (np.bincount(places, each, len(found)) for each in (sums, lengths))
    return found, totals.astype(np.float64), counts.astype(np.int64)
