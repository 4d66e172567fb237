"""What the trainer tells while it runs: plain, immutable results.

`Trainer.run` yields these in order. The recorder has already written a
result to disk when its event is yielded, so a reader may show it or drop it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Mode = Literal["auto", "resume", "restart"]
"""How a run begins. auto: resume an unfinished one, else begin; resume: only that;
restart: archive the old one and begin."""
FinishReason = Literal["completed", "early_stopping"]


@dataclass(frozen=True)
class Resumption:
    """What may be otherwise than before when an unfinished run goes on."""

    halve_micro_batch: bool = False
    """Micro-batches of half the size that the run had last, after memory ran out: the same optimizer
    steps, equal to rounding (dropout draws other units)."""
    accept_versions: bool = False
    """Other versions of the libraries that compute."""


AS_BEFORE = Resumption()
"""Nothing may be otherwise."""


@dataclass(frozen=True)
class StepMetrics:
    """One optimizer step: one line of `training_metrics.json`, one row of the CSV."""

    step: int
    """Optimizer steps done so far, from 1."""
    epoch: int
    """Epoch of this step, from 0."""
    loss: float | None
    """Mean cross-entropy per trained token, in nats; None if it was not finite."""
    val_loss: float | None
    """The same over the whole validation set, where it was evaluated after this step."""
    learning_rate: float
    grad_norm: float | None
    """L2 norm of the gradient before clipping; None if it was not finite."""
    tokens: int
    """Real (unpadded) tokens of this step, prompts included."""
    tokens_per_second: float
    peak_memory_gb: float
    """Highest memory MLX has held in this session, since the model was loaded, in GB (1e9 bytes)."""
    elapsed_s: float
    """Seconds of training up to this step, pauses left out."""
    time: str
    """Wall-clock time at the end of the step, ISO 8601 with offset."""


@dataclass(frozen=True)
class Usage:
    """What a session, from one start of the trainer to its pause or end, has spent so far."""

    padding: float | None = None
    """Share of padding among the tokens computed in optimizer steps, 0 to 1; None before the first."""
    shapes: int = 0
    """Different shapes of micro-batches met; the compiled step was traced for each."""
    evaluation: float | None = None
    """Share of the time that went into validation, 0 to 1; None before anything was computed."""


@dataclass(frozen=True)
class Phase:
    """The trainer entered a stage that takes a while."""

    name: Literal[
        "checking",
        "reaching",
        "tokenizing",
        "loading",
        "restoring",
        "connecting",
        "validating",
        "answering",
        "training",
        "saving",
    ]
    """checking: whether the checkpoint to go on from is intact and the run still the same; restoring: it;
    reaching: the processes on other machines; connecting: with all others; answering: the questions of
    prompts.txt."""
    done: int = 0
    total: int = 0
    """Parts of this stage done and in all; 0 of 0 where that is not known."""
    step: int = 0
    """Of the checkpoint that is restored."""


@dataclass(frozen=True)
class Started:
    """Model and data are ready; the first step follows."""

    step: int
    """Steps done before; more than 0 after a resume."""
    total_steps: int
    steps_per_epoch: int
    num_epochs: int
    train_examples: int
    valid_examples: int
    trainable_parameters: int
    model: str
    device: str
    """In words, such as "CPU, float32, OpenBLAS"."""
    shapes: int
    """Different shapes that micro-batches are padded to."""
    ranks: int = 1
    """Processes that train together: steps and tokens are those of all, memory is that of the first."""


@dataclass(frozen=True)
class StepDone:
    """One optimizer step was made and recorded."""

    metrics: StepMetrics
    usage: Usage
    """Of this session so far."""


@dataclass(frozen=True)
class Evaluated:
    """The whole validation set was scored after `step` steps (0: before the first)."""

    step: int
    epoch: int
    val_loss: float
    is_best: bool
    """True if this is the lowest so far; `adapters/` then holds these weights."""
    seconds: float


@dataclass(frozen=True)
class CheckpointSaved:
    """A whole checkpoint is on disk."""

    step: int
    path: Path
    seconds: float


@dataclass(frozen=True)
class Notice:
    """Something the user should know, in one sentence with its advice."""

    level: Literal["info", "warning"]
    message: str


@dataclass(frozen=True)
class Paused:
    """The run stopped on request; everything is saved."""

    step: int
    checkpoint: Path


@dataclass(frozen=True)
class Finished:
    """The run reached its end (or stopped early)."""

    step: int
    best_step: int | None
    best_val_loss: float | None
    reason: FinishReason


Event = Phase | Started | StepDone | Evaluated | CheckpointSaved | Notice | Paused | Finished


def as_json(event: Event) -> dict[str, Any]:
    """Return an event as a flat JSON-ready object whose `event` is its class name in snake case."""
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(event).__name__).lstrip("_")
    values = asdict(event)
    if isinstance(event, StepDone):
        values = values["metrics"] | values["usage"]
    return {"event": name} | {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}
