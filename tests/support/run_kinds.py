"""Run folders of known kind, as the trainer leaves them: what the judgement of a run is tried on."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.project import Project
from engine.training.state import RunState
from engine.training.validation_rows import add_row_losses
from tests.support.run_files import line, write_lines

import numpy as np

STEPS, PER_EPOCH, EVERY = 60, 20, 10
NAN = math.nan


@dataclass(frozen=True)
class Course:
    """What a run measured: the losses of its steps (NaN: skipped) and of its validations, by step."""

    losses: list[float]
    validations: dict[int, float]
    initial: float | None = 3.1
    per_epoch: int = PER_EPOCH
    missing: frozenset[int] = frozenset()
    """Steps whose line was lost."""
    state: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    """Validation rows whose losses were kept; 0: by a version that kept none."""
    spread: float = 0.1
    """Standard deviation of what a row's loss differs by from one validation to the next, nats per token."""
    hidden: int = 0
    """Width of the model; 0: its folder is gone."""


def falling(start: float, end: float, pace: float, count: int = STEPS, noise: float = 0.05) -> list[float]:
    """Return losses that fall towards `end` by a factor of e every `pace` steps, with noise of that width."""
    steps, draw = np.arange(count), np.random.default_rng(5)
    curve = end + (start - end) * np.exp(-steps / pace) + noise * draw.standard_normal(count)
    return [round(float(loss), 4) for loss in curve]


def validated(start: float, end: float, pace: float, count: int = STEPS) -> dict[int, float]:
    """Return validations every `EVERY` steps on such a course, without noise."""
    return {
        step: round(end + (start - end) * math.exp(-step / pace), 4)
        for step in range(1, count + 1)
        if step % EVERY == 0 or step == count
    }


def _with(losses: list[float], **changed: float) -> list[float]:
    """Return losses with those of other steps: step_60=15.0."""
    steps = {int(name.partition("_")[2]): value for name, value in changed.items()}
    return [steps.get(step, loss) for step, loss in enumerate(losses, 1)]


def _healthy() -> Course:
    return Course(falling(3.0, 1.5, 8), validated(3.1, 1.6, 8))


def _still_falling() -> Course:
    return Course(falling(3.0, 0.5, 60), validated(3.1, 0.6, 60))


def _overfitted() -> Course:
    found = {10: 2.1, 20: 1.8, 30: 1.9, 40: 2.1, 50: 2.3, 60: 2.5}
    return Course(falling(3.0, 0.9, 15), found)


def _by_heart() -> Course:
    return Course(falling(3.0, 0.4, 12), validated(3.1, 1.6, 8))


def _bad_validations() -> Course:
    return Course(falling(3.0, 1.5, 8), validated(3.1, 1.6, 8) | {50: NAN, 60: NAN})


def _bad_steps() -> Course:
    skipped = {f"step_{step}": NAN for step in (52, 54, 57, 58, 60)}
    return Course(_with(falling(3.0, 1.5, 8), **skipped), validated(3.1, 1.6, 8))


def _exploding() -> Course:
    losses = _with(falling(5.0, 1.5, 8), step_58=4.0, step_59=9.0, step_60=15.0)
    return Course(losses, validated(3.1, 1.6, 8) | {60: 14.0})


def _odd_last_step() -> Course:
    return Course(_with(falling(5.0, 1.5, 8), step_60=15.0), validated(3.1, 1.6, 8))


def _odd_last_steps() -> Course:
    odd = {f"step_{step}": float(step - 50) for step in (57, 58, 59, 60)}
    return Course(_with(falling(3.0, 1.5, 8), **odd), validated(3.1, 1.6, 8))


def _blown_up() -> Course:
    return Course(falling(3.0, 1.5, 8, 40) + [20.0 + step for step in range(20)], validated(3.1, 1.6, 8))


def _worsened() -> Course:
    losses = falling(5.0, 1.5, 6, 40) + [1.5 + 0.04 * step for step in range(20)]
    return Course(losses, validated(5.1, 1.6, 8) | {50: 1.9, 60: 2.3}, initial=5.1)


def _rising_again() -> Course:
    losses = falling(3.0, 1.5, 6, 40) + [1.5 + 0.06 * step for step in range(20)]
    return Course(losses, validated(3.1, 1.6, 8) | {50: 2.0, 60: 2.6})


def _helped_nothing() -> Course:
    return Course(falling(3.0, 1.5, 8), dict.fromkeys(range(10, 61, 10), 3.2))


def _too_short() -> Course:
    return Course([3.0, 2.0, 1.5], {3: 1.6}, per_epoch=3)


def _no_validation() -> Course:
    return Course(falling(3.0, 1.5, 8), {}, initial=None)


def _skipped_steps() -> Course:
    return Course(_with(falling(3.0, 1.5, 8), step_7=NAN, step_25=NAN, step_41=NAN), validated(3.1, 1.6, 8))


def _early_stopped() -> Course:
    found = validated(3.1, 1.6, 8) | {50: 1.615, 60: 1.62}
    state = {"total_steps": 100, "reason": "early_stopping"}
    return Course(falling(3.0, 1.5, 8), found, state=state, config={"num_epochs": 5})


def _flat() -> Course:
    return Course(falling(3.0, 3.0, 8), dict.fromkeys(range(10, 61, 10), 3.09))


def _noisy() -> Course:
    return Course(falling(3.0, 1.5, 8, noise=0.5), validated(3.1, 1.6, 8))


def _gaps() -> Course:
    missing = frozenset(range(21, 28)) | {45}
    return Course(falling(3.0, 1.5, 8), validated(3.1, 1.6, 8), missing=missing)


def _one_epoch() -> Course:
    return Course(falling(3.0, 0.9, 8), validated(3.1, 1.7, 8), per_epoch=STEPS)


def _initial_gap() -> Course:
    return Course(falling(3.0, 1.5, 8), validated(4.0, 2.5, 8), initial=4.0)


def _hard_first_rows() -> Course:
    losses = [4.2, 3.9, 4.1, 4.0, 3.8, 3.7, *falling(2.6, 1.15, 25, 54, 0.02)]
    found = {10: 2.5, 20: 2.0, 30: 1.6, 40: 1.4, 50: 1.25, 60: 1.2}
    return Course(losses, found, initial=3.0)


def _hard_last_rows() -> Course:
    losses = falling(3.0, 1.5, 6, 40) + [1.5 + 0.06 * step for step in range(20)]
    return Course(losses, validated(3.1, 1.6, 8))


def _blown_up_validation() -> Course:
    return Course(falling(3.0, 0.9, 15), validated(3.1, 1.3, 8) | {60: 50.0})


def _flat_and_rising() -> Course:
    found = {10: 3.08, 20: 3.1, 30: 3.2, 40: 3.3, 50: 3.4, 60: 3.5}
    return Course([round(loss + 0.01 * step, 4) for step, loss in enumerate(falling(3.0, 3.0, 8))], found)


def _broken_and_never_better() -> Course:
    skipped = {f"step_{step}": NAN for step in (52, 54, 57, 58, 60)}
    return Course(_with(falling(3.0, 1.5, 8), **skipped), dict.fromkeys(range(10, 51, 10), 3.3) | {60: 3.2})


def _short_and_never_better() -> Course:
    return Course([3.0, 2.9, 3.1], {3: 3.3}, per_epoch=3)


def _exploded_soon() -> Course:
    losses = [3.0, 41.0, 48.0, 52.0, 50.0, 49.0, 51.0, 50.0]
    return Course(losses, {8: 50.0}, per_epoch=8)


def _exploded_at_once() -> Course:
    losses = [3.0, 12.0, *falling(11.0, 10.6, 30, 58)]
    return Course(losses, dict.fromkeys(range(10, 61, 10), 10.8))


def _all_zero() -> Course:
    return Course([0.0] * STEPS, dict.fromkeys(range(10, 61, 10), 0.0), initial=0.0)


def _huge() -> Course:
    losses = falling(3.0, 1.5, 8, 40) + [(20.0 + step) * 1e30 for step in range(20)]
    return Course(losses, validated(3.1, 1.6, 8) | {50: 2e30, 60: 3e30})


def _beyond_any() -> Course:
    return Course([1e300] * STEPS, dict.fromkeys(range(10, 61, 10), 1e300))


def _converged() -> Course:
    return Course(falling(3.0, 1.5, 8), validated(3.1, 1.6, 8), rows=95, spread=0.003)


def _noisy_plateau() -> Course:
    found = {10: 1.9, 20: 1.602, 30: 1.6, 40: 1.605, 50: 1.598, 60: 1.597}
    return Course(falling(3.0, 1.5, 6), found, rows=95, spread=0.05)


def _too_few_rows() -> Course:
    found = {10: 3.05, 20: 3.0, 30: 2.97, 40: 2.93, 50: 2.91, 60: 2.9}
    return Course(falling(3.0, 2.7, 8), found, rows=6, spread=1.0)


def _rise_by_chance() -> Course:
    found = validated(3.1, 1.6, 8) | {50: 1.64, 60: 1.66}
    return Course(falling(3.0, 1.5, 8), found, rows=8, spread=0.5)


def _rise_beyond_chance() -> Course:
    return Course(falling(3.0, 1.2, 12), validated(3.1, 1.6, 8) | {50: 1.7, 60: 1.85}, rows=95, spread=0.1)


def _memorised() -> Course:
    found = {10: 2.2, 20: 1.9, 30: 1.72, 40: 1.65, 50: 1.63, 60: 1.625}
    return Course(falling(3.0, 0.4, 12), found, rows=95, spread=0.02)


def _gap_by_chance() -> Course:
    return Course(falling(3.0, 1.0, 8), validated(3.1, 1.6, 8), rows=8, spread=0.9)


def _jumping() -> Course:
    jumps = {f"step_{step}": 4.0 for step in (18, 27, 36, 45)}
    return Course(
        _with(falling(3.0, 1.5, 8), **jumps), validated(3.1, 1.6, 8), config={"learning_rate": 5e-4}
    )


def _jumping_rows() -> Course:
    """Below the rule of thumb."""
    course = _jumping()
    config = {"learning_rate": 1e-4}
    return Course(course.losses, course.validations, config=config, rows=95, spread=0.02, hidden=4096)


def _rising_at_first() -> Course:
    losses = [3.0] * 5 + [3.0 + 0.15 * step for step in range(10)] + falling(4.0, 1.5, 6, 45)
    return Course(losses, {10: 3.4, 20: 2.6, 30: 1.9, 40: 1.7, 50: 1.65, 60: 1.6}, rows=95, spread=0.02)


def _slow() -> Course:
    course = _still_falling()
    config = {"learning_rate": 2e-5}
    return Course(course.losses, course.validations, config=config, rows=95, spread=0.02, hidden=4096)


def _still_gaining_with_a_gap() -> Course:
    return Course(falling(3.0, 0.5, 50), validated(3.1, 1.2, 50), rows=95, spread=0.02, hidden=2048)


def _one_epoch_too_few() -> Course:
    return Course(falling(3.0, 0.5, 60), validated(3.1, 0.6, 60), per_epoch=STEPS, rows=95, spread=0.02)


def _resumed() -> Course:
    return Course(falling(3.0, 1.5, 8), validated(3.1, 1.6, 8), rows=95, state={"resumed_at": 30})


KINDS: dict[str, Callable[[], Course]] = {
    "healthy": _healthy,
    "still falling": _still_falling,
    "overfitted": _overfitted,
    "learnt by heart": _by_heart,
    "last validations not finite": _bad_validations,
    "last steps not finite": _bad_steps,
    "exploding end": _exploding,
    "one odd last step": _odd_last_step,
    "odd last steps": _odd_last_steps,
    "blown up": _blown_up,
    "worsened": _worsened,
    "rising again": _rising_again,
    "three steps": _too_short,
    "never validated": _no_validation,
    "steps skipped": _skipped_steps,
    "stopped early": _early_stopped,
    "flat": _flat,
    "helped nothing": _helped_nothing,
    "noisy": _noisy,
    "lines lost": _gaps,
    "one epoch": _one_epoch,
    "gap from the start": _initial_gap,
    "hard first rows": _hard_first_rows,
    "hard last rows": _hard_last_rows,
    "validation blown up": _blown_up_validation,
    "flat and rising": _flat_and_rising,
    "broken and never better": _broken_and_never_better,
    "three steps and never better": _short_and_never_better,
    "exploded soon": _exploded_soon,
    "exploded at once": _exploded_at_once,
    "all zero": _all_zero,
    "huge": _huge,
    "beyond any number": _beyond_any,
    "converged": _converged,
    "noisy plateau": _noisy_plateau,
    "too few rows": _too_few_rows,
    "rise by chance": _rise_by_chance,
    "rise beyond chance": _rise_beyond_chance,
    "memorised": _memorised,
    "gap by chance": _gap_by_chance,
    "jumping": _jumping,
    "jumping rows": _jumping_rows,
    "rising at first": _rising_at_first,
    "slow": _slow,
    "still gaining with a gap": _still_gaining_with_a_gap,
    "one epoch too few": _one_epoch_too_few,
    "resumed": _resumed,
}


def write_kind(root: Path, kind: str) -> tuple[Project, Course]:
    """Write the folder of a finished run of this kind."""
    course = KINDS[kind]()
    return write_course(root, course), course


def write_course(root: Path, course: Course) -> Project:
    """Write the folder of a finished run that measured this."""
    project, count = Project(root), len(course.losses)
    write_lines(
        project,
        "".join(
            line(
                step,
                _number(loss),
                epoch=(step - 1) // course.per_epoch,
                val_loss=_number(course.validations.get(step, NAN)),
                grad_norm=_number(loss / 3),
                tokens=90 + step % 7,
                tokens_per_second=50.0 + step % 5,
                peak_memory_gb=round(1.0 + step / 100, 2),
            )
            for step, loss in enumerate(course.losses, 1)
            if step not in course.missing
        ),
    )
    values = {"total_steps": count, "steps_per_epoch": course.per_epoch, **course.state}
    RunState("finished", "tiny", step=count, initial_val_loss=course.initial, **values).save(
        project.state_file
    )
    epochs = -(-count // course.per_epoch)
    config = {"num_epochs": epochs, "eval_every": EVERY, **course.config}
    TrainingConfig.parse(config).save(project.config_file)
    if course.rows:
        write_rows(project, course)
    if course.hidden:
        folder = root / "models" / "tiny"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"hidden_size": course.hidden, "model_type": "llama"}))
    return project


def write_rows(project: Project, course: Course) -> None:
    """Write what each validation lost on each row: rows of unlike length and difficulty."""
    draw = np.random.default_rng(7)
    tokens = draw.integers(8, 40, course.rows)
    difficulty = draw.standard_normal(course.rows)
    for step, loss in sorted({0: course.initial or math.nan, **course.validations}.items()):
        found = difficulty + course.spread * draw.standard_normal(course.rows)
        found += loss - np.average(found, weights=tokens)
        if math.isfinite(loss):
            add_row_losses(project, step, tokens.tolist(), (found * tokens).tolist())


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
