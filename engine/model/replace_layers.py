"""Puts our layers in the place of mlx-lm's: same parameters, same results, faster and smaller steps."""

from collections.abc import Mapping, Sequence

from engine.backend import mx, nn
from engine.model import dora, lora
from engine.model.frozen_linear import FrozenLinear, matrix_key
from engine.model.lora import LoRALinear, LowRankLinear, SharedInput
from engine.model.matmul_timings import MatmulMode
from engine.model.padding_free import unpad_attention
from engine.model.swiglu import GatedMLP
from engine.transformers_import import AutoTokenizer  # noqa: F401  # before mlx-lm

from mlx.utils import tree_unflatten
from mlx_lm.tuner.dora import DoRALinear as MlxLmDoRALinear
from mlx_lm.tuner.lora import LoRALinear as MlxLmLoRALinear

ATTENTION = ("q_proj", "k_proj", "v_proj")
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
_TRIAL_GATES = (1, 1, 64, 64)
"""Sizes of the gates in the rows a block is tried out with: near 1 activation functions differ
most, and at 64 the numbers are cut off in blocks that limit them."""
_TOLERANCE = 0.05
"""Largest difference from a row's largest number; another activation function exceeds it by far."""


def packed_layers(model: nn.Module) -> list[nn.Module]:
    """Return the quantised layers that products are made with: LoRA's frozen ones, the output head too."""
    found = [module for module in model.modules() if isinstance(module, nn.QuantizedLinear)]
    embedding = getattr(getattr(model, "model", None), "embed_tokens", None)
    if not hasattr(model, "lm_head") and isinstance(embedding, nn.QuantizedEmbedding):
        found.append(embedding)
    return found


def make_fast(model: nn.Module, modes: Mapping[str, MatmulMode], dtype: mx.Dtype) -> None:
    """Replace mlx-lm's LoRA or DoRA layers and quantised layers by ours, in place.

    Projections that share their input are then computed together, and feed-forward blocks of LoRA layers
    that prove to be `GatedMLP`s become such, where no dropout stands against it. Attention then
    takes tokens without padding, where it can.

    Args:
        model: frozen, with mlx-lm's LoRA or DoRA layers attached.
        modes: how to multiply by each kind of quantised matrix (`matrix_key`); packed if not named.
        dtype: of resident matrices.
    """

    def frozen(layer: nn.Module) -> FrozenLinear:
        return FrozenLinear(layer, modes.get(matrix_key(layer), "packed"), dtype)

    replaced: list[tuple[str, nn.Module]] = []
    inside: set[int] = set()
    for path, module in model.named_modules():
        if isinstance(module, (MlxLmLoRALinear, MlxLmDoRALinear)):
            inside.add(id(module.linear))
            replaced.append((path, module))
        elif type(module) is nn.QuantizedLinear:
            replaced.append((path, module))
    for path, module in replaced:
        if id(module) in inside:
            continue
        if isinstance(module, MlxLmLoRALinear):
            new: nn.Module = lora.from_mlx_lm(module, frozen(module.linear))
        elif isinstance(module, MlxLmDoRALinear):
            new = dora.from_mlx_lm(module, frozen(module.linear))
        else:
            new = frozen(module)
        model.update_modules(tree_unflatten([(path, new)]))
    _join(model, dtype)
    unpad_attention(model)


def _join(model: nn.Module, dtype: mx.Dtype) -> None:
    groups: list[SharedInput] = []
    for path, module in list(model.named_modules()):
        feed_forward = _without_dropout(module, FEED_FORWARD)
        if feed_forward:
            if _is_gated(module, feed_forward, dtype):
                model.update_modules(tree_unflatten([(path, GatedMLP(module))]))
                continue
            groups.append(SharedInput(feed_forward[:2]))
        attention = _without_dropout(module, ATTENTION)
        if attention:
            groups.append(SharedInput(attention))
    model(mx.zeros((1, 1), mx.int32))
    for group in groups:
        group.dissolve_unless_used()


def _without_dropout(module: nn.Module, names: Sequence[str]) -> list[LowRankLinear]:
    """Return the children of these names if all are adapted layers of ours without dropout, else nothing."""
    children = [module.get(name) for name in names]
    if all(isinstance(child, LowRankLinear) and not child.drops for child in children):
        return children
    return []


def _is_gated(module: nn.Module, layers: Sequence[LowRankLinear], dtype: mx.Dtype) -> bool:
    """Whether a block of `layers` computes what `GatedMLP` does: tried out on a few random rows."""
    if not all(isinstance(layer, LoRALinear) for layer in layers):
        return False
    gate = layers[0]
    x = mx.random.normal((1, len(_TRIAL_GATES), gate.lora_a.shape[0]), key=mx.random.key(0)).astype(dtype)
    x *= mx.array(_TRIAL_GATES, dtype)[:, None] / mx.std(gate(x))
    try:
        wanted = module(x)
    except TypeError:  # it takes more than the hidden states
        return False
    difference = mx.abs(GatedMLP(module)(x) - wanted).max(axis=-1)
    return bool((difference <= _TOLERANCE * mx.abs(wanted).max(axis=-1)).all().item())
