"""The facts of a run that its validations give, beside the training losses around them."""

from typing import Any

from engine.analysis import levels
from engine.analysis.facts import settled_step
from engine.analysis.noise import Difference, growth_margin, noise_facts
from engine.analysis.overfitting import judge_overfitting
from engine.analysis.validations import Validations
from engine.project import Project
from engine.training.history import Floats, Ints, RunHistory
from engine.training.state import RunState

import numpy as np

_FIRST_STEPS = 3
"""That have hardly changed the model, at a usual learning rate."""
_CHANGED = 2 * 2**0.5
"""Standard deviations of a single loss between two losses that are not of the same model."""


def validation_facts(
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
    validated = _validated(checked)
    best_step = validated["best_step"]
    found = noise_facts(project, checked, state, best_step)
    settled = settled_step(best_step, validated["best_val_loss"], found["enough_step"], found["enough"])
    first = _first_losses(history, noise)
    doubt = growth_margin(noise, found.pop("from_start"), (max(1, len(first)), levels.RECENT))
    rise: Difference | None = found["rise"]
    gap = _gap_facts(first, known, (checked.last_step, best_step), state)
    overfitting = judge_overfitting(
        gap["loss_at_validation"],
        validated["best_val_loss"],
        validated["last_val_loss"],
        _has_repeated(history, state.steps_per_epoch if state else 0),
        gap["initial_gap"],
        doubt,
        rise.margin if rise else 0.0,
    )
    return {
        **validated,
        **found,
        **gap,
        **_wasted(history, settled),
        "initial_val_loss": state.initial_val_loss if state else None,
        "overfitting": overfitting,
        "gap_margin": doubt if found["validation_rows"] else None,
    }


def _validated(checked: Validations) -> dict[str, Any]:
    """Return the fields of a summary that the validations tell by themselves."""
    best, last, best_step = _best_and_last(checked)
    return {
        "best_val_loss": best,
        "best_step": best_step,
        "last_val_loss": last,
        "last_val_step": checked.last_step,
        "failed_validations": len(checked.failed),
        "failed_at_end": checked.failed_at_end,
    }


def _gap_facts(
    first: Floats,
    known: tuple[Ints, Floats],
    last_and_best: tuple[int | None, int | None],
    state: RunState | None,
) -> dict[str, Any]:
    """Return the fields of a summary that tell the training losses beside last and best validation."""
    steps, losses = known
    at_last, at_best = (
        None if step is None else levels.recent_mean(losses[steps <= step]) for step in last_and_best
    )
    return {
        "initial_gap": _initial_gap(first, state),
        "loss_at_validation": at_last,
        "loss_at_best": at_best,
    }


def _first_losses(history: RunHistory, noise: float | None) -> Floats:
    """Return the finite losses of the first steps; of the very first alone if that has changed the model."""
    first: Floats = history.loss[history.step <= _FIRST_STEPS]
    first = first[np.isfinite(first)]
    has_changed = noise is not None and len(first) > 1 and first[0] - first[1:].min() > _CHANGED * noise
    return first[:1] if has_changed else first


def _initial_gap(first: Floats, state: RunState | None) -> float | None:
    """Compare the validation before the first step with the losses of the first."""
    if state is None or state.initial_val_loss is None or not len(first):
        return None
    return state.initial_val_loss - float(first.mean())


def _has_repeated(history: RunHistory, steps_per_epoch: int) -> bool:
    """Whether the run went beyond its first epoch, as far as is known."""
    return not steps_per_epoch or (len(history) > 0 and int(history.step[-1]) > steps_per_epoch)


def _best_and_last(found: Validations) -> tuple[float | None, float | None, int | None]:
    """Return the lowest and the last loss, and the step of the lowest."""
    if not len(found.steps):
        return None, None, None
    best = int(np.argmin(found.losses))
    return float(found.losses[best]), float(found.losses[-1]), int(found.steps[best])


def _wasted(history: RunHistory, settled: int | None) -> dict[str, Any]:
    """Return the fields of a summary that tell what came after the step from which nothing was gained."""
    if settled is None:
        return {"wasted_steps": 0, "wasted_s": 0.0}
    seconds = float(history.elapsed_s[-1]) - _elapsed_at(history, settled)
    return {"wasted_steps": int(history.step[-1]) - settled, "wasted_s": seconds}


def _elapsed_at(history: RunHistory, step: int) -> float:
    return float(history.elapsed_s[np.argmax(history.step == step)])
