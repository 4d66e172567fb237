"""Whether a configuration can fit, by prediction, and which nearby one does."""

from collections.abc import Callable, Iterator
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.errors import UserError
from engine.i18n import _
from engine.memory.predict import MemoryBudget, predict_peak
from engine.model_folder.dimensions import ModelDimensions
from engine.units import sizes_apart

PREDICTION_ERROR = 1.15
"""How far a predicted peak may be from the measured one, as a factor either way."""
SHORTEST = 64
"""Tokens below which shorter examples are not worth proposing."""
_MOST_ACCUMULATED = 1024
"""Micro-batches of a step that a configuration may have."""


def nearest_fitting(config: TrainingConfig, fits: Callable[[TrainingConfig], bool]) -> TrainingConfig | None:
    """Return the configuration nearest to `config` that fits; None if none of those tried does.

    What costs least is given up first, and stays given up: weights written out, then the
    time of recomputing activations, then examples that pass through the model together (those of an
    optimizer step stay the same), then dropout, with which nothing can be recomputed, then the end of long
    examples, then rank.
    """
    return next((candidate for candidate in _nearby(config) if fits(candidate)), None)


def _nearby(config: TrainingConfig) -> Iterator[TrainingConfig]:
    yield config
    if config.frozen_weights == "resident":
        config = config.updated({"frozen_weights": "auto"})
        yield config
    if config.gradient_checkpointing != "on" and not config.lora_dropout:
        config = config.updated({"gradient_checkpointing": "on"})
        yield config
    examples = config.examples_per_step
    for batch in range(config.batch_size - 1, 0, -1):
        if examples % batch == 0 and examples // batch <= _MOST_ACCUMULATED:
            config = config.updated({"batch_size": batch, "gradient_accumulation": examples // batch})
            yield config
    if config.lora_dropout:
        recomputed = "auto" if config.gradient_checkpointing == "auto" else "on"
        config = config.updated({"lora_dropout": 0.0, "gradient_checkpointing": recomputed})
        yield config
    while config.max_seq_length > SHORTEST:
        shorter = config.max_seq_length * 3 // 4 // 8 * 8
        config = config.updated({"max_seq_length": max(SHORTEST, shorter)})
        yield config
    while config.lora_rank > 1 and not config.init_adapter:
        rank = config.lora_rank // 2
        config = config.updated({"lora_rank": rank, "lora_alpha": config.lora_scale * rank})
        yield config


def in_halves(config: TrainingConfig) -> TrainingConfig | None:
    """Return the configuration of the same steps in micro-batches half as large; None if there is none."""
    batch, rest = divmod(config.batch_size, 2)
    accumulation = 2 * config.gradient_accumulation
    if rest or accumulation > _MOST_ACCUMULATED:
        return None
    return config.updated({"batch_size": batch, "gradient_accumulation": accumulation})


def as_options(config: TrainingConfig, other: TrainingConfig) -> str:
    """Return what turns `config` into `other` on the command line: `--set batch_size=1 ...`."""
    old, new = config.model_dump(), other.model_dump()
    return " ".join(f"--set {key}={_typed(new[key])}" for key in new if new[key] != old[key])


def _typed(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def refuse_if_too_large(folder: Path, config: TrainingConfig, budget: MemoryBudget, shape: BatchShape) -> str:
    """Refuse a run that cannot fit on this machine, before anything is loaded.

    Only one that would not even if its prediction were `PREDICTION_ERROR` too high, with
    all memory to itself. A model whose need cannot be predicted passes.

    Args:
        folder: of the base model.
        config: the run's configuration.
        budget: the memory there is.
        shape: its largest micro-batch.

    Returns:
        A warning where only the memory that is free now is too little, else nothing.

    Raises:
        UserError: with the predicted need, the memory there is and the nearest configuration.
    """
    needed = _least_peak(folder, config, budget, shape)
    if needed is None or needed <= budget.free:
        return ""
    hint = advice(config, nearest_predicted(folder, config, budget, shape), budget)
    is_limited = limits(config, budget)
    if needed > budget.total * PREDICTION_ERROR:
        needs, has = sizes_apart(needed, budget.total)
        problem = _("Training would need about {need} of memory, and there is {total}")
        if is_limited:
            problem = _(
                "Training would need about {need} of memory, and there is {total} under max_memory_gb"
            )
        raise UserError(problem.format(need=needs, total=has), hint)
    text = _("Training will need about {need} of memory, and {free} is free; if it fails, {hint}")
    if is_limited:
        text = _(
            "Training will need about {need} of memory, and max_memory_gb is {free}; if it fails, {hint}"
        )
    needs, has = sizes_apart(needed, budget.free)
    return text.format(need=needs, free=has, hint=hint)


def limits(config: TrainingConfig, budget: MemoryBudget) -> bool:
    """Whether `max_memory_gb` is what a budget is limited by, and not the machine or what runs on it."""
    return 0 < int(config.max_memory_gb * 1e9) == budget.total == budget.free


def nearest_predicted(
    folder: Path, config: TrainingConfig, budget: MemoryBudget, shape: BatchShape
) -> TrainingConfig | None:
    """Return the nearest other configuration that, as predicted, surely fits what is free now.

    The arguments are those of `refuse_if_too_large`. None if there is none, or no prediction.
    """

    def fits(candidate: TrainingConfig) -> bool:
        needed = _least_peak(folder, candidate, budget, shape)
        return candidate != config and needed is not None and needed * PREDICTION_ERROR <= budget.free

    return nearest_fitting(config, fits)


def advice(config: TrainingConfig, near: TrainingConfig | None, budget: MemoryBudget) -> str:
    """Return how to go on where `config` does not fit and `near` is the nearest one that does."""
    if near is None and limits(config, budget):
        return _("raise max_memory_gb or take a smaller base model")
    if near is None:
        return _("close other programs or take a smaller base model")
    return _("use: {options}").format(options=as_options(config, near))


def _least_peak(folder: Path, config: TrainingConfig, budget: MemoryBudget, shape: BatchShape) -> int | None:
    """Predict the peak of a run that saves all the memory its configuration allows, bytes.

    "auto" counts as what takes least. None for a model that is not llama-like: its need
    is not known.

    Args:
        folder: of the base model.
        config: of the run.
        budget: the device counts.
        shape: the largest micro-batch that the data make of the wanted configuration; one of a
            smaller configuration has at most `batch_size` x `max_seq_length` tokens.
    """
    length = min(shape.length, config.max_seq_length)
    tokens = min(shape.area, config.batch_size * config.max_seq_length)
    changes: dict[str, object] = {"batch_size": max(1, tokens // length)}
    if config.gradient_checkpointing == "auto" and not config.lora_dropout:
        changes["gradient_checkpointing"] = "on"
    if config.frozen_weights == "auto":
        changes["frozen_weights"] = "packed"
    made = config.model_copy(update=changes)
    sizes = ModelDimensions.read(folder)
    if sizes is None:
        return None
    return predict_peak(sizes, made, budget.device, length, shape.trained, fill=shape.fill)
