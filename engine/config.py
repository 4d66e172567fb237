"""The configuration of one training run: every field with unit, range and help."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from engine.errors import UserError, WrongUsage, system_reason
from engine.files import NoPlainFile, read_given, write_json
from engine.format import FORMAT, KEY, is_unknown, other_version
from engine.i18n import _
from engine.lora_targets import DEFAULT_TARGETS, LoraTarget
from engine.optimizer_facts import OptimizerName
from engine.renamed_settings import renamed
from engine.values import json_reason, refusal, typed

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FineTuneType = Literal["lora", "dora"]
TrackerName = Literal["tensorboard", "wandb", "trackio"]
_LISTS = ("lora_targets", "trackers")
"""Settings that are lists of names."""


class TrainingConfig(BaseModel):
    """What a run is asked to do. Immutable; unknown keys are refused.

    Each field's `description` is also its help text in the app's form and in
    the command line's errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: Annotated[
        str, Field(description="Folder of the base model below models/; empty takes the first one.")
    ] = ""
    init_adapter: Annotated[
        str,
        Field(
            max_length=4096,
            description="Folder of an adapter to train on from, mlx-lm's or PEFT's; empty begins afresh.",
        ),
    ] = ""
    batch_size: Annotated[
        int, Field(ge=1, le=256, description="Examples whose padded tokens fit in memory together.")
    ] = 2
    gradient_accumulation: Annotated[
        int, Field(ge=1, le=1024, description="Batches whose gradients are summed before one optimizer step.")
    ] = 2
    max_seq_length: Annotated[
        int,
        Field(ge=16, le=131072, description="Tokens an example may have; longer ones are cut at the end."),
    ] = 384
    learning_rate: Annotated[
        float, Field(gt=0, le=0.1, description="Peak step size of the optimizer after warm-up.")
    ] = 2e-4
    num_epochs: Annotated[
        int, Field(ge=1, le=1000, description="How many times every example is trained on.")
    ] = 3
    max_steps: Annotated[
        int,
        Field(
            ge=0,
            le=10**9,
            description="Optimizer steps after which the run ends, in whatever epoch; 0: none.",
        ),
    ] = 0
    fine_tune_type: Annotated[
        FineTuneType,
        Field(description="Kind of adapter; dora trains the length of each matrix row, too."),
    ] = "lora"
    lora_rank: Annotated[
        int, Field(ge=1, le=1024, description="Inner size of the adapter's two matrices.")
    ] = 8
    lora_alpha: Annotated[
        float, Field(gt=0, le=4096, description="Adapter strength; its scale is alpha / rank.")
    ] = 16.0
    lora_dropout: Annotated[
        float, Field(ge=0, lt=1, description="Share of the adapter's inputs dropped while training.")
    ] = 0.0
    lora_targets: Annotated[
        tuple[LoraTarget, ...],
        Field(min_length=1, description="Projections of each layer that get an adapter."),
    ] = DEFAULT_TARGETS
    lora_layers: Annotated[
        int, Field(ge=-1, le=1024, description="Layers with an adapter, counted from the last; -1 is all.")
    ] = -1
    lr_schedule: Annotated[
        Literal["constant", "linear", "cosine"],
        Field(description="Course of the learning rate after warm-up: constant, linear or cosine to zero."),
    ] = "cosine"
    warmup_ratio: Annotated[
        float,
        Field(ge=0, le=0.5, description="Share of all steps in which the learning rate rises from zero."),
    ] = 0.03
    min_learning_rate_ratio: Annotated[
        float,
        Field(ge=0, le=1, description="Share of the learning rate that linear and cosine fall to."),
    ] = 0.0
    optimizer: Annotated[
        OptimizerName,
        Field(
            description="Rule of the updates; lion wants a third of the learning rate, muon thrice as much."
        ),
    ] = "adamw"
    weight_decay: Annotated[
        float, Field(ge=0, le=1, description="Decoupled weight decay, per unit of learning rate.")
    ] = 0.0
    max_grad_norm: Annotated[
        float, Field(ge=0, le=1000, description="Gradients are scaled down to this L2 norm; 0 turns it off.")
    ] = 1.0
    prompt_loss_weight: Annotated[
        float,
        Field(ge=0, le=1, description="Weight of a prompt's token in the loss; an answer's has 1."),
    ] = 0.0
    mask_history: Annotated[
        bool, Field(description="Train only on the last answer of a conversation, and not on all.")
    ] = False
    train_on_template_text: Annotated[
        bool,
        Field(description="Also learn what the chat template puts before answers, as <think></think>."),
    ] = False
    seed: Annotated[
        int, Field(ge=0, le=2**32 - 1, description="Seed of the adapter's start, data order and dropout.")
    ] = 0
    eval_every: Annotated[
        Annotated[int, Field(ge=0, le=10**9)] | Literal["auto"],
        Field(
            description="Steps between validations; 0: only where an epoch or the run ends; "
            "auto: as often as a tenth of the time allows."
        ),
    ] = "auto"
    save_every: Annotated[
        int,
        Field(
            ge=0, le=10**9, description="Steps between checkpoints; 0: only where an epoch or the run ends."
        ),
    ] = 50
    keep_checkpoints: Annotated[
        int, Field(ge=1, le=1000, description="Newest checkpoints that are kept, besides the best.")
    ] = 3
    early_stopping_patience: Annotated[
        int,
        Field(
            ge=0,
            le=10**9,
            description="Validations without a new best after which the run ends; 0 never does.",
        ),
    ] = 0
    answers_percent: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="Percent of the time that answers to prompts.txt may take; 0: none, 100: no limit.",
        ),
    ] = 5.0
    trackers: Annotated[
        tuple[TrackerName, ...],
        Field(description="Where the figures go besides the run's files: tensorboard, wandb, trackio."),
    ] = ()
    gradient_checkpointing: Annotated[
        Literal["auto", "on", "off"],
        Field(description="Recompute activations to save memory: auto does so when memory is short."),
    ] = "auto"

    max_memory_gb: Annotated[
        float,
        Field(ge=0, le=100_000, description="Memory (1e9 bytes) that MLX may take; 0 is what is free."),
    ] = 0.0
    frozen_weights: Annotated[
        Literal["auto", "packed", "transient", "resident"],
        Field(description="How base weights are multiplied: auto takes the fastest way that memory allows."),
    ] = "auto"

    @property
    def examples_per_step(self) -> int:
        """Examples of one optimizer step (the effective batch size)."""
        return self.batch_size * self.gradient_accumulation

    @property
    def lora_scale(self) -> float:
        """Factor of the adapter's output, mlx-lm's `scale`."""
        return self.lora_alpha / self.lora_rank

    @property
    def lower_prompt_weight(self) -> float:
        """Weight of tokens that are no answer's, where it is below theirs; 0 where these carry no loss or
        all tokens carry the same."""
        return self.prompt_loss_weight if self.prompt_loss_weight < 1 else 0.0

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: Any) -> Any:
        """Accept `q_proj,v_proj` for `lora_targets` and such, as typed in a form or after `--set`."""
        if isinstance(values, dict):
            texts = {name: values[name] for name in _LISTS if isinstance(values.get(name), str)}
            names = {name: text.replace(",", " ").split() for name, text in texts.items()}
            values = values | {name: tuple(dict.fromkeys(found)) for name, found in names.items()}
        return values

    @model_validator(mode="after")
    def _refuse_muon_for_lengths(self) -> Self:
        """Refuse what Muon cannot do: it makes matrices orthogonal, and DoRA's lengths are vectors."""
        if self.fine_tune_type == "dora" and self.optimizer == "muon":
            raise UserError(
                _("optimizer=muon does not go with fine_tune_type=dora, whose lengths are no matrices"),
                _("set optimizer=adamw or fine_tune_type=lora"),
            )
        return self

    @classmethod
    def parse(cls, values: dict[str, Any], source: str = "") -> Self:
        """Return the configuration with `values`; texts such as "2e-4" are converted.

        Raises:
            UserError: an unknown key, a value out of range, or two names of a setting with different values,
                named with `source`.
        """
        try:
            return cls.model_validate(renamed(values, source))
        except ValidationError as error:
            raise refusal(error, cls.model_fields, source) from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a configuration file written by `save` (or by hand).

        Raises:
            UserError: no such file, not JSON, unknown key or value out of range.
        """
        try:
            values = json.loads(read_given(path))
        except NoPlainFile:
            raise
        except OSError as error:
            raise UserError(
                _("Cannot read {path}: {reason}").format(path=path, reason=system_reason(error)),
                _("name an existing file"),
            ) from None
        except (ValueError, RecursionError) as error:
            raise UserError(
                _("{path} cannot be used: {reason}").format(path=path, reason=json_reason(error)),
                _("correct that line or choose a profile again"),
            ) from None
        if not isinstance(values, dict):
            raise UserError(
                _("{path} holds no JSON object").format(path=path), _('write it as {"key": value}')
            )
        if is_unknown(values):
            raise other_version(
                path, _("use that version, or choose a profile again: mqlora-tui train --profile BALANCED")
            )
        values.pop(KEY, None)
        return cls.parse(values, str(path))

    def updated(self, values: dict[str, Any], source: str = "") -> Self:
        """Return a copy with `values` changed, checked like `parse`; texts are as the user types them."""
        given = renamed(typed(values, type(self).model_fields), source)
        return type(self).parse({**self.model_dump(), **given}, source)

    def save(self, path: Path) -> None:
        """Write the configuration as JSON, atomically."""
        path.parent.mkdir(exist_ok=True)
        write_json(path, {KEY: FORMAT, **self.model_dump(mode="json")})


def parse_assignment(text: str) -> tuple[str, str]:
    """Split one `--set KEY=VALUE` argument.

    Raises:
        WrongUsage: there is no `=` in it.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise WrongUsage(_("'{text}' is not KEY=VALUE").format(text=text), _("write --set batch_size=2"))
    return key.strip(), value.strip()
