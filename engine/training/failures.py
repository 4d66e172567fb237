"""What a run may die of that a user can correct, in a sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.config import TrainingConfig
from engine.errors import UserError, system_reason, write_fix
from engine.files import NoPlainFile
from engine.i18n import _
from engine.project import Project

TRAIN = "mqlora-tui train"

# How MLX words it on CPU, Metal and CUDA.
OUT_OF_MEMORY = re.compile(
    r"unable to allocate|attempting to allocate|out of memory|insufficient memory|cudaMalloc", re.IGNORECASE
)


def explain(error: Exception, project: Project, config: TrainingConfig, divisor: int) -> UserError | None:
    """Return what to tell the user of an error in a running loop; None for a defect.

    Args:
        error: what was raised.
        project: where.
        config: the run's configuration.
        divisor: how many times smaller than usual its micro-batches were.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError):
        return cannot_write(project.run_dir, error, command_of(project))
    return out_of_memory(error, config, divisor)


def command_of(project: Project) -> str:
    """Return the command that makes a run, and goes on with it: of one in the archive that is a tuning."""
    is_archived = project.run_dir.parent.name == project.archive_dir.name
    return "mqlora-tui tune" if is_archived else TRAIN


def cannot_write(folder: Path, error: OSError, then: str = TRAIN) -> UserError:
    """Return what to tell the user of a failed write in a run's folder, and the command that writes again."""
    text = _("{fix}, then run: {command} (what is saved is untouched)")
    fix = text.format(fix=write_fix(error), command=then)
    reason = system_reason(error)
    return UserError(_("Cannot write to {folder}: {reason}").format(folder=folder, reason=reason), fix)


@contextmanager
def explained_writes(folder: Path, then: str = TRAIN) -> Iterator[None]:
    """Turn a failed write in a run's folder into a refusal that names the command to run `then`.

    Raises:
        UserError: instead of an OSError in the block.
    """
    try:
        yield
    except NoPlainFile:
        raise
    except OSError as error:
        raise cannot_write(folder, error, then) from None


def begins_bad() -> UserError:
    """Return what to tell where the loss is not finite before the first step."""
    return UserError(
        _("The base model's validation loss is not finite"),
        _("look for odd rows in valid.jsonl, or copy the base model again"),
    )


def stays_bad(step: int, was_halved: bool) -> UserError:
    """Return what to tell where loss or gradient stays bad up to `step`, and there is no way back."""
    problem = (
        _("Loss or gradient is not finite at step {step}, even with half the learning rate")
        if was_halved
        else _("Loss or gradient is not finite at step {step}, and no checkpoint before it is left")
    )
    return UserError(
        problem.format(step=step),
        _("lower learning_rate, look for odd rows in the data, then: mqlora-tui train --restart"),
    )


def out_of_memory(error: Exception, config: TrainingConfig, divisor: int) -> UserError | None:
    """Return the advice for a failed allocation, None if `error` is something else (see `explain`)."""
    if not (isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error))):
        return None
    return UserError(
        _("Out of memory with batch_size={batch} and max_seq_length={length}").format(
            batch=config.batch_size, length=config.max_seq_length
        ),
        _("close other programs, or use less: mqlora-tui train {options}").format(
            options=_smaller(config, divisor)
        ),
    )


def _smaller(config: TrainingConfig, divisor: int) -> str:
    """Return the options of `train` that need less memory; where that is enough, they keep the run."""
    # Once every row is alone, the next halving recomputes activations; after that nothing is left to halve.
    may_recompute = config.gradient_checkpointing == "auto" and not config.lora_dropout
    if divisor < config.batch_size or (divisor == config.batch_size and may_recompute):
        return "--half-micro-batch"
    if config.gradient_checkpointing == "off" and not config.lora_dropout:
        return "--restart --set gradient_checkpointing=on"
    return f"--restart --set max_seq_length={max(16, config.max_seq_length // 2)}"
