"""Whether an adapter's matrices are those of a model's LoRA layers, and if not, why."""

from collections.abc import Sequence
from pathlib import Path

from engine.backend import nn
from engine.errors import UserError
from engine.fingerprint import model_fingerprint
from engine.i18n import _
from engine.model.adapter_file import AdapterFile, cannot_use
from engine.model.mlx_lm_adapter import ADAPTER_PARTS, BASE_PRINT, CONFIG
from engine.sanitize import one_line

from mlx.utils import tree_flatten


def require_same_layers(model: nn.Module, adapter: AdapterFile) -> None:
    """Check that a model's LoRA layers have the names and sizes of an adapter's.

    Raises:
        UserError: they have not.
    """
    layers = {name: array for name, array in tree_flatten(model.parameters()) if name.endswith(ADAPTER_PARTS)}
    modules = dict(model.named_modules())
    names = sorted(adapter.weights) + sorted(layers.keys() - adapter.weights.keys())
    for name in names:
        if name not in adapter.weights:
            reason = _("{name} is missing").format(name=name)
        elif name not in layers and (path := name.rpartition(".")[0]) in modules:
            raise _not_here(path, modules[path], adapter)
        elif name not in layers:
            reason = _("this model has no {name}").format(name=one_line(name, 120))
        elif layers[name].shape != adapter.weights[name].shape:
            reason = _("{name} is {found}, in this model {expected}").format(
                name=name, found=_by(adapter.weights[name].shape), expected=_by(layers[name].shape)
            )
        else:
            continue
        raise cannot_use(adapter.folder, reason, fitting_base(adapter))


def _not_here(path: str, module: nn.Module, adapter: AdapterFile) -> UserError:
    """Return the refusal of matrices for a layer that the model has, and that gets none."""
    rows, outputs = adapter.weights.get(f"{path}.lora_b"), module.get("weight")
    if rows is not None and outputs is not None and rows.shape[1] != outputs.shape[0]:
        reason = _("{name} has {found} outputs, in this model {expected}").format(
            name=one_line(path, 120), found=rows.shape[1], expected=outputs.shape[0]
        )
        return cannot_use(adapter.folder, reason, fitting_base(adapter))
    reason = _("it adapts {name} and not all layers after that, which mlx-lm's form cannot say").format(
        name=one_line(path, 120)
    )
    return cannot_use(adapter.folder, reason, _("train it on all layers, or on the last ones"))


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def require_its_base(adapter: AdapterFile, base: Path) -> None:
    """Check that the base model in a folder is the one that an adapter was trained on, as far as it says.

    Raises:
        UserError: it is another one.
    """
    if adapter.base_fingerprint and adapter.base_fingerprint != model_fingerprint(base):
        raise UserError(
            _("The adapter in {folder} was not trained on {base}").format(folder=adapter.folder, base=base),
            _(
                "put its base model there, or, if the weights mean the same, take {field} out of {file}"
            ).format(field=BASE_PRINT, file=adapter.folder / CONFIG),
        )


def fitting_base(adapter: AdapterFile) -> str:
    """Return the advice to take the model that an adapter was made for."""
    if not adapter.base_model:
        return _("use it with the base model that it was made for")
    return _("use it with the base model that it was made for: {name}").format(
        name=one_line(adapter.base_model, 200)
    )
