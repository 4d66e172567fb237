"""Tiny models of mlx-lm's architectures with a random adapter, and their loss by mlx-lm's own layers."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from engine.backend import mx, nn
from engine.model.adapter import attach_adapter
from engine.model.frozen_linear import matrix_key
from engine.model.matmul_timings import MatmulMode
from engine.model.padding_free import run_rows
from engine.model.replace_layers import make_fast, packed_layers
from engine.training.loss import batch_arrays, make_loss
from tests.support.batching import whole_batch
from tests.support.steps import some_examples
from tests.support.tiny import CONFIG, RUN

from mlx.utils import tree_flatten

SIZES = CONFIG | {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16, "max_position_embeddings": 64}
MIXTURE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "norm_topk_prob": True}
# What each needs besides `SIZES`; the group size is 64.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"rope_theta": 1e4},
    "gemma": {},
    "gemma2": {"query_pre_attn_scalar": 16},
    "gemma3_text": {"query_pre_attn_scalar": 16, "sliding_window_pattern": 2},
    "granite": {"logits_scaling": 4.0, "attention_multiplier": 0.2, "embedding_multiplier": 3.0,
                "residual_multiplier": 0.5, "attention_bias": True, "mlp_bias": True, "rope_theta": 1e4},
    "phi3": {"partial_rotary_factor": 1.0},
    "starcoder2": {},
    "stablelm": {"rope_theta": 1e4, "use_qkv_bias": True, "partial_rotary_factor": 0.5,
                 "layer_norm_eps": 1e-5},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": MIXTURE | {"decoder_sparse_step": 2, "mlp_only_layers": [], "rope_theta": 1e4},
}  # fmt: skip
BATCH = batch_arrays(whole_batch(some_examples(5)))

Loss = Callable[..., mx.array]
Found = tuple[float, dict[str, mx.array]]


def build(
    kind: str = "llama", quantize: bool = True, run: dict[str, Any] | None = None, **changes: Any
) -> nn.Module:
    """Return mlx-lm's model, the same one each time, with both matrices of its adapter random."""
    module = import_module(f"mlx_lm.models.{kind}")
    mx.random.seed(7)
    model = module.Model(
        module.ModelArgs.from_dict({**SIZES, "model_type": kind, **ARCHITECTURES[kind], **changes})
    )
    if quantize:
        nn.quantize(model, group_size=64, bits=4)
    attach_adapter(model, RUN.updated(run or {}))
    for layer in model.modules():
        if hasattr(layer, "lora_b"):
            layer.lora_b = mx.random.normal(layer.lora_b.shape) * 0.1
    mx.eval(model.parameters())
    return model


def plain_loss(model: nn.Module, *batch: mx.array) -> mx.array:
    """Return the summed cross-entropy, from the model's own logits of every position of padded rows."""
    tokens, slots, places, targets, labels = batch
    logits = model(tokens[slots])
    chosen = logits.reshape(-1, logits.shape[-1])[places[targets]]
    return nn.losses.cross_entropy(chosen, labels, reduction="sum")


def unpadded_loss(model: nn.Module, *batch: mx.array) -> mx.array:
    """Return the same from rows that stand one after the other: what is drawn for each token is then ours."""
    tokens, slots, places, targets, labels = batch
    logits = run_rows(model, model, tokens, slots, places)
    return nn.losses.cross_entropy(logits[targets], labels, reduction="sum")


def found(model: nn.Module, loss: Loss) -> Found:
    """Return the loss on `BATCH` and its gradient by each trainable parameter."""
    mx.random.seed(11)  # for dropout
    value, gradient = nn.value_and_grad(model, loss)(model, *BATCH)
    return float(value), dict(tree_flatten(gradient))


def made_fast(model: nn.Module, mode: MatmulMode) -> Loss:
    """Replace a model's layers by ours, and return our loss for it."""
    modes = {matrix_key(layer): mode for layer in packed_layers(model)}
    model.eval()  # as it is loaded
    make_fast(model, modes, mx.float32)
    loss = make_loss(model, modes)
    model.train()
    return loss


def assert_same(ours: Found, theirs: Found) -> None:
    """Loss and gradients agree to the rounding of float32."""
    assert abs(ours[0] - theirs[0]) <= 1e-5 * abs(theirs[0])
    assert ours[1].keys() == theirs[1].keys() != set()
    for name, array in theirs[1].items():
        largest = float(mx.abs(array).max())
        assert largest > 0, name
        assert float(mx.abs(ours[1][name] - array).max()) <= 1e-4 * largest, name
