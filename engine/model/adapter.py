"""LoRA and DoRA adapters on a model: fresh ones, those to go on from, and those to answer with."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.backend import compute_dtype, mx, nn
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.files import PARTIAL, sync, write_json
from engine.fingerprint import model_fingerprint
from engine.i18n import _
from engine.lora_targets import ALL_TARGETS, LoraTarget
from engine.model.adapter_file import AdapterFile, cannot_use, read_adapter
from engine.model.adapter_match import fitting_base, require_same_layers
from engine.model.dora import replace_for_answers, require_even_words
from engine.model.mlx_lm_adapter import CONFIG, WEIGHTS, lora_parameters
from engine.model.safetensors_file import write_arrays
from engine.sanitize import one_line
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm

from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.utils import linear_to_lora_layers


def attach_adapter(
    model: nn.Module, config: TrainingConfig, start: AdapterFile | None = None
) -> dict[str, Any]:
    """Put LoRA or DoRA layers on a frozen model and make them alone trainable.

    Args:
        model: the base model.
        config: `fine_tune_type` and its `lora_` settings say which layers get one, and of what kind and size.
        start: the adapter to go on from; without one the start values are drawn from
            `config.seed`, A uniform and B zero (m the norms of the rows), so the first output equals the
            base model's.

    Returns:
        The content of `adapter_config.json`.

    Raises:
        UserError: no layer is to get one, none has a projection named in `config.lora_targets`, or
            `start` has other layers than these, or mlx-lm has no such layers for this model.
    """
    count, keys = _chosen_layers(model, config, start)
    parameters = lora_parameters(config.lora_rank, config.lora_scale, config.lora_dropout, keys)
    mx.random.seed(config.seed)
    model.freeze()
    if config.fine_tune_type == "dora":
        require_even_words(model)
    linear_to_lora_layers(model, count, parameters, use_dora=config.fine_tune_type == "dora")
    if start:
        _fill(model, start)
    mx.eval(model.trainable_parameters())
    return {"fine_tune_type": config.fine_tune_type, "num_layers": count, "lora_parameters": parameters}


def _chosen_layers(
    model: nn.Module, config: TrainingConfig, start: AdapterFile | None
) -> tuple[int, list[str]]:
    """Return how many layers, from the last on, get an adapter, and the paths of its projections in a layer.

    Raises:
        UserError: see `attach_adapter`.
    """
    if config.lora_layers == 0:
        raise UserError(
            _("With lora_layers=0 no layer gets an adapter, so nothing would be trained"),
            _("set lora_layers to how many layers shall get one, or to -1 for all"),
        )
    layers = len(model.layers)
    count = layers if config.lora_layers == -1 else min(config.lora_layers, layers)
    if start:
        _require_its_settings(model, config, count, start)
    keys = _target_paths(model.layers[layers - count :], config.lora_targets)
    if not keys:
        raise UserError(
            _("No layer of this model has a projection named {names}").format(
                names=", ".join(config.lora_targets)
            ),
            _("choose other lora_targets, such as those that it has: {names}").format(
                names=", ".join(_projections(model)) or "-"
            ),
        )
    return count, keys


def _projections(model: nn.Module) -> list[LoraTarget]:
    """Return the projections of a model's layers that can get an adapter, by name."""
    paths = _target_paths(model.layers, ALL_TARGETS)
    return [name for name in ALL_TARGETS if any(path.rpartition(".")[2] == name for path in paths)]


def _target_paths(layers: Sequence[nn.Module], names: Sequence[str]) -> list[str]:
    """Return the paths within a layer of the projections with one of these names."""
    return sorted(
        {
            path
            for layer in layers
            for path, module in layer.named_modules()
            if path.rpartition(".")[2] in names and isinstance(module, (nn.Linear, nn.QuantizedLinear))
        }
    )


def _require_its_settings(model: nn.Module, config: TrainingConfig, count: int, start: AdapterFile) -> None:
    """Refuse a configuration that would train other layers than those of the adapter to go on from.

    Args:
        model: the base model.
        config: of the run.
        count: how many layers, the last ones, are to get an adapter.
        start: the adapter.

    Raises:
        UserError: with the settings to set, or that there are none for this adapter.
    """
    layers, named = len(model.layers), start.config["num_layers"]
    of_start = layers if named <= 0 else min(named, layers)
    names = {key.rpartition(".")[2] for key in start.keys}
    targets = tuple(name for name in ALL_TARGETS if name in names)
    if _target_paths(model.layers[layers - of_start :], targets) != sorted(start.keys):
        raise cannot_use(
            start.folder,
            _("its projections ({keys}) are not those of this model that can be trained").format(
                keys=", ".join(start.keys)
            ),
            fitting_base(start),
        )
    wanted = _other_settings(config, start, targets)
    if count != of_start:
        wanted["lora_layers"] = "-1" if of_start == layers else str(of_start)
    try:
        config.updated(wanted)
    except UserError as error:
        raise cannot_use(start.folder, error.problem, _("go on from another adapter")) from None
    if wanted:
        raise UserError(
            _("The adapter in {folder} was made with other settings: {names}").format(
                folder=start.folder, names=", ".join(wanted)
            ),
            _("set them as the adapter has them: {options}").format(
                options=" ".join(f"--set {name}={value}" for name, value in wanted.items())
            ),
        )


def _other_settings(config: TrainingConfig, start: AdapterFile, targets: Sequence[str]) -> dict[str, str]:
    """Return kind, rank, alpha and targets as an adapter has them, where a configuration has others."""
    wanted: dict[str, str] = {}
    if config.fine_tune_type != start.fine_tune_type:
        wanted["fine_tune_type"] = start.fine_tune_type
    if config.lora_rank != start.rank:
        wanted["lora_rank"] = str(start.rank)
    if not math.isclose(config.lora_alpha, start.scale * start.rank, rel_tol=1e-9):
        wanted["lora_alpha"] = f"{start.scale * start.rank:.17g}"
    if set(config.lora_targets) != set(targets):
        wanted["lora_targets"] = ",".join(targets)
    return wanted


def _fill(model: nn.Module, adapter: AdapterFile) -> None:
    """Give the adapted layers of a model an adapter's numbers, as float32.

    Raises:
        UserError: they are not the layers of this adapter, in number or size.
    """
    require_same_layers(model, adapter)
    weights = [(name, array.astype(mx.float32)) for name, array in adapter.weights.items()]
    model.load_weights(weights, strict=False)


def adapter_weights(model: nn.Module) -> dict[str, mx.array]:
    """Return the trainable parameters by their path, sorted."""
    return dict(sorted(tree_flatten(model.trainable_parameters())))


def save_adapter(folder: Path, weights: dict[str, mx.array], adapter_config: dict[str, Any]) -> None:
    """Write an adapter that replaces the one in `folder` in one step.

    The small configuration goes first; it is the same for all of a run, so the
    two files fit together at every moment.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    write_json(folder / CONFIG, adapter_config)
    partial = folder / f"{PARTIAL}{WEIGHTS}"
    write_arrays(partial, weights)
    partial.replace(folder / WEIGHTS)
    sync(folder)


class LoadedAdapter:
    """An adapter on a base model. Turned off its layers are out of the model, so that it costs nothing."""

    def __init__(self, model: nn.Module, before: dict[str, nn.Module], file: AdapterFile) -> None:
        """Find the layers of `model` that took the place of those there were `before`, by their path.

        Args:
            model: with the adapter.
            before: the modules of the model without it.
            file: of the adapter.
        """
        self.template_settings = file.template_settings
        """Variables of the chat template for the prompts that it was trained on."""
        self._file = file
        self._model = model
        self._on = [
            (path, layer) for path, layer in model.named_modules() if before.get(path, layer) is not layer
        ]
        self._off = [(path, before[path]) for path, _layer in self._on]

    def doubt(self, base: Path) -> str:
        """Say that it was made for another model than that in the folder `base`; empty where it was not."""
        if self._file.base_fingerprint in ("", model_fingerprint(base)):
            return ""
        name = one_line(self._file.base_model, 200)
        return _("The adapter in {folder} was made for another base model{name}; answers may be bad.").format(
            folder=self._file.folder, name=f" ({name})" if name else ""
        )

    def turn(self, on: bool) -> None:
        """Let the model answer with the adapter, or as the base model does."""
        self._model.update_modules(tree_unflatten(self._on if on else self._off))


def load_adapter(model: nn.Module, folder: Path) -> LoadedAdapter:
    """Put the adapter in `folder`, of mlx-lm's form or PEFT's, on a base model and return it, turned on.

    Raises:
        UserError: the files are missing, damaged or made for another model.
    """
    adapter = read_adapter(folder)
    before = dict(model.named_modules())
    try:
        if is_dora := adapter.fine_tune_type == "dora":
            require_even_words(model)
        named = adapter.config["num_layers"], adapter.config["lora_parameters"]
        linear_to_lora_layers(model, *named, use_dora=is_dora)
    except ValueError as error:  # a module of a kind that takes no LoRA
        raise cannot_use(folder, str(error), fitting_base(adapter)) from None
    _fill(model, adapter)
    replace_for_answers(model, compute_dtype())
    return LoadedAdapter(model, before, adapter)
