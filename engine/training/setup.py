"""From a model folder and a configuration to all that a training step needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.backend import attention_tile, compute_dtype, is_cpu, mx, nn, tune_launches
from engine.config import TrainingConfig
from engine.dataset.batches.bucket_plan import Limits, plan_shapes
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.tokenize import Example
from engine.memory.predict import ALL_LOGITS, CPU_MAX_ROWS, MemoryBudget, predict_peak
from engine.memory.suggest import refuse_if_too_large
from engine.model.adapter import attach_adapter
from engine.model.adapter_file import AdapterFile
from engine.model.gradient_checkpointing import checkpoint_layers
from engine.model.loading import BaseModel, load_base
from engine.model.replace_layers import make_fast
from engine.model_folder.dimensions import Device, ModelDimensions
from engine.training.execution_plan import Plan, is_short_of_memory, make_plan, needed_bytes
from engine.training.failures import out_of_memory
from engine.training.loss import holds_all_logits, make_loss
from engine.training.memory_limits import limit_cache, read_budget
from engine.training.scores import ScoreFunction, make_scores
from engine.training.step import StepFunction, compiled_scores
from engine.training.update import make_optimizer

_USED = 0.95
"""Share of the memory there is that a run may fill before it waits for the device."""


@dataclass(frozen=True)
class Assembled:
    """A model ready to be trained, and how that is done."""

    base: BaseModel
    """The model with its tokenizer, and where it comes from."""
    adapter_config: dict[str, Any]
    score: ScoreFunction
    """The loss of each target, for validation."""
    step: StepFunction
    plan: Plan
    reason: str
    """Why the plan is so, in a sentence; empty where it was given."""
    predicted: int | None
    """Peak memory of MLX, bytes; None for a model whose need is not known."""

    @property
    def model(self) -> nn.Module:
        """The model."""
        return self.base.model


def shapes_for(
    train: Sequence[Example],
    valid: Sequence[Example],
    config: TrainingConfig,
    divisor: int = 1,
    speeds: Sequence[float] = (1.0,),
) -> tuple[BatchShape, ...]:
    """Return what a run's micro-batches are padded to: `batch_size` x `max_seq_length` tokens at most.

    Args:
        train: the training examples.
        valid: the validation examples.
        config: the run's configuration.
        divisor: how many times fewer tokens than usual a micro-batch may have.
        speeds: of the processes that a step's rows are divided over.
    """
    tile = attention_tile()
    row = config.max_seq_length if tile == 1 else Limits(0, 0, tile).padded(config.max_seq_length)
    max_tokens = max(1, config.batch_size * row // divisor)
    max_rows = max(1, CPU_MAX_ROWS // divisor) if is_cpu() else max_tokens
    limits = Limits(max_tokens, max_rows, tile)
    per_step, seed, epochs = config.examples_per_step, config.seed, config.num_epochs
    weight = config.lower_prompt_weight
    return plan_shapes(train, valid, per_step, seed, limits, epochs, speeds=speeds, prompt_weight=weight)


@dataclass(frozen=True)
class Layout:
    """The micro-batches of a run, and the memory there is for them."""

    shapes: tuple[BatchShape, ...]
    """What they are padded to."""
    largest: BatchShape
    budget: MemoryBudget
    warning: str
    """What is to be said of the memory, or nothing."""


def lay_out(
    train: Sequence[Example],
    valid: Sequence[Example],
    config: TrainingConfig,
    folder: Path,
    divisor: int = 1,
    speeds: Sequence[float] = (1.0,),
    sharing_memory: int = 1,
) -> Layout:
    """Plan the micro-batches of a run on this machine, and limit what MLX may keep besides.

    Args:
        train: see `shapes_for`.
        valid: see there.
        config: see there.
        folder: of the base model.
        divisor: see `shapes_for`.
        speeds: see there.
        sharing_memory: how many processes take their memory from the same as this one.

    Raises:
        UserError: the model does not fit.
    """
    budget = read_budget(config.max_memory_gb).divided(sharing_memory)
    shapes = shapes_for(train, valid, config, divisor, speeds)
    limit_cache(budget)
    shape = largest(shapes, folder, config)
    return Layout(shapes, shape, budget, refuse_if_too_large(folder, config, budget, shape))


def largest(shapes: Sequence[BatchShape], folder: Path, config: TrainingConfig) -> BatchShape:
    """Return the shape that takes the most memory, as predicted; else the one with the most tokens."""
    sizes = ModelDimensions.read(folder)
    if sizes is None:
        return max(shapes, key=lambda shape: (shape.tokens, shape.length, shape.targets))

    def peak(shape: BatchShape) -> int:
        filled = config.model_copy(update={"batch_size": shape.rows})
        device: Device = "cpu" if is_cpu() else "gpu"
        return predict_peak(sizes, filled, device, shape.length, shape.trained, fill=shape.fill)

    return max(shapes, key=peak)


def assemble(
    folder: Path,
    config: TrainingConfig,
    shape: BatchShape,
    budget: MemoryBudget,
    plan: Plan | None = None,
    divisor: int = 1,
    start: AdapterFile | None = None,
) -> Assembled:
    """Load a base model, attach an adapter and ready both for training.

    Args:
        folder: of the base model.
        config: the run's configuration.
        shape: the largest micro-batch.
        budget: the memory there is.
        plan: of the run to go on with; None chooses one.
        divisor: how many times fewer tokens than usual a micro-batch has.
        start: the adapter to go on from; None attaches a fresh one.

    Raises:
        UserError: the model cannot be loaded, the configuration does not go with it, or memory runs out.
    """
    try:
        return _assemble(folder, config, shape, budget, plan, divisor, start)
    except (MemoryError, RuntimeError, ValueError) as error:
        raise out_of_memory(error, config, divisor) or error from None


def _assemble(
    folder: Path,
    config: TrainingConfig,
    shape: BatchShape,
    budget: MemoryBudget,
    plan: Plan | None,
    divisor: int,
    start: AdapterFile | None,
) -> Assembled:
    tune_launches(shape.tokens, is_short_of_memory(folder, config, shape, budget))
    base = load_base(folder, keep_packed=True)
    model = base.model
    adapter_config = attach_adapter(model, config, start)
    reason = ""
    if plan is None:
        # A row alone cannot be halved: what remains is to keep less of it.
        is_too_much = divisor > 1 and shape.rows == 1
        plan, reason = make_plan(model, folder, config, shape, budget, divisor, is_too_much)
    predicted = needed_bytes(model, folder, config, shape, plan)
    make_fast(model, plan.matmul_modes, compute_dtype())
    checkpoint_layers(model, adapter_config["num_layers"], plan.recomputed_layers)
    mx.eval(model.parameters())
    loss = make_loss(model, plan.matmul_modes)
    sizes = ModelDimensions.read(folder)
    if predicted and sizes and holds_all_logits(loss):
        predicted += ALL_LOGITS * sizes.vocab * shape.tokens
    if not is_cpu():
        # MLX hands work on far ahead of the device and holds memory for it: beyond this it waits for
        # it. Near what a run needs at least, that makes a step of few tokens twice as slow (H100).
        mx.set_memory_limit(int(budget.free * _USED))
    step = StepFunction(model, make_optimizer(config), loss, config.max_grad_norm)
    mx.clear_cache()
    mx.reset_peak_memory()
    score = compiled_scores(model, make_scores(model, plan.matmul_modes))
    base.wait_for_tokenizer()
    return Assembled(base, adapter_config, score, step, plan, reason, predicted)
