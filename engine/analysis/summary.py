"""Sums a run up: every fact that is told of it, taken from its files once."""

import socket
from datetime import datetime
from typing import Any

from engine.analysis import levels
from engine.analysis.facts import ReportedStatus, RunSummary, settled_step
from engine.analysis.noise import Difference, growth_margin, noise_facts
from engine.analysis.overfitting import judge_overfitting
from engine.analysis.run_folder import find_checkpoints, model_folder, model_width, run_config, way_on
from engine.analysis.validations import Validations, validations_of
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

_FIRST_STEPS = 3


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
        **_validation_facts(project, history, known, validations_of(history, config, state), noise, state),
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


def _validation_facts(
    project: Project,
    history: RunHistory,
    known: tuple[Ints, Floats],
    checked: Validations,
    noise: float | None,
    state: RunState | None,
) -> dict[str, Any]:
    """Return the fields of a summary that its validations give, beside the losses around them.

    Args:
        project: of the run.
        history: of the run.
        known: its finite losses, and their steps.
        checked: its validations.
        noise: of a single loss, see `levels.noise`.
        state: of the run, if it is known.
    """
    steps, losses = known
    best, last, best_step = _best_and_last(checked)
    beside, at_best = (
        None if step is None else levels.recent_mean(losses[steps <= step])
        for step in (checked.last_step, best_step)
    )
    found = noise_facts(project, checked, state, best_step)
    rise: Difference | None = found["rise"]
    initial_gap = _initial_gap(history, state)
    doubt = growth_margin(noise, found.pop("from_start"), (_FIRST_STEPS, levels.RECENT))
    has_repeated = _has_repeated(history, state.steps_per_epoch if state else 0)
    wasted = _wasted(history, settled_step(best_step, best, found["enough_step"], found["enough"]))
    return (
        found
        | wasted
        | {
            "initial_val_loss": state.initial_val_loss if state else None,
            "best_val_loss": best,
            "best_step": best_step,
            "last_val_loss": last,
            "last_val_step": checked.last_step,
            "failed_validations": len(checked.failed),
            "failed_at_end": checked.failed_at_end,
            "initial_gap": initial_gap,
            "loss_at_validation": beside,
            "loss_at_best": at_best,
            "overfitting": judge_overfitting(
                beside, best, last, has_repeated, initial_gap, doubt, rise.margin if rise else 0.0
            ),
            "gap_margin": doubt if found["validation_rows"] else None,
        }
    )


def _wasted(history: RunHistory, settled: int | None) -> dict[str, Any]:
    """Return the fields of a summary that tell what came after the step from which nothing was gained."""
    if settled is None:
        return {"wasted_steps": 0, "wasted_s": 0.0}
    seconds = float(history.elapsed_s[-1]) - _elapsed_at(history, settled)
    return {"wasted_steps": int(history.step[-1]) - settled, "wasted_s": seconds}


def _best_and_last(found: Validations) -> tuple[float | None, float | None, int | None]:
    """Return the lowest and the last loss, and the step of the lowest."""
    if not len(found.steps):
        return None, None, None
    best = int(np.argmin(found.losses))
    return float(found.losses[best]), float(found.losses[-1]), int(found.steps[best])


def _untrained_loss(history: RunHistory, state: RunState | None) -> float | None:
    """Return what is known of the model before its first update; one step alone does not tell enough."""
    if state is None or state.initial_val_loss is None:
        return None
    first = history.loss[(history.step == 1) & np.isfinite(history.loss)]
    known: list[float] = [state.initial_val_loss, *first.tolist()]
    return max(known)


def _initial_gap(history: RunHistory, state: RunState | None) -> float | None:
    """Compare the first validation with the first steps: so few have hardly changed the model."""
    first = history.loss[history.step <= _FIRST_STEPS]
    first = first[np.isfinite(first)]
    if state is None or state.initial_val_loss is None or not len(first):
        return None
    return state.initial_val_loss - float(first.mean())


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


def _elapsed_at(history: RunHistory, step: int) -> float:
    return float(history.elapsed_s[np.argmax(history.step == step)])


def _has_repeated(history: RunHistory, steps_per_epoch: int) -> bool:
    """Whether the run went beyond its first epoch, as far as is known."""
    return not steps_per_epoch or (len(history) > 0 and int(history.step[-1]) > steps_per_epoch)


def _tokens_per_epoch(history: RunHistory, steps_per_epoch: int) -> int | None:
    """Return the mean over the epochs of which every step is recorded."""
    if not steps_per_epoch or not len(history):
        return None
    _epochs, places, counts = np.unique(history.epoch, return_inverse=True, return_counts=True)
    whole = np.bincount(places, weights=history.tokens)[counts == steps_per_epoch]
    return round(float(whole.mean())) if len(whole) else None


def _epoch_losses(history: RunHistory) -> tuple[tuple[int, float], ...]:
    known = np.isfinite(history.loss)
    epochs, places = np.unique(history.epoch[known], return_inverse=True)
    means = np.bincount(places, weights=history.loss[known]) / np.maximum(np.bincount(places), 1)
    return tuple(zip(epochs.tolist(), means.tolist(), strict=True))
