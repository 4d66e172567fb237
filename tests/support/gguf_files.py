"""GGUF files of a tiny Llama, written with the `gguf` library."""

from collections.abc import Callable
from pathlib import Path

from engine.errors import UserError
from engine.model.gguf import import_gguf

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from tokenizers import pre_tokenizers

HIDDEN, INNER, HEADS, GROUPS, HEAD, LAYERS = 256, 96, 4, 2, 64, 2
SPECIALS = ["<|end|>", "<|start|>"]
TOKENS = [*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet()), "he", "Ġt", "12"]
NORMS = ("input_layernorm", "post_attention_layernorm")
GGUF_NAMES = gguf.TensorNameMap(gguf.MODEL_ARCH.LLAMA, LAYERS)
TEMPLATE = "{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}"


def float_weights(tied: bool, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under mlx-lm's names, in mlx-lm's order of rows."""
    draw = np.random.default_rng(seed)
    shapes = {"model.embed_tokens.weight": (len(TOKENS), HIDDEN)}
    if not tied:
        shapes["lm_head.weight"] = (len(TOKENS), HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        shapes |= {
            f"{prefix}self_attn.q_proj.weight": (HEADS * HEAD, HIDDEN),
            f"{prefix}self_attn.k_proj.weight": (GROUPS * HEAD, HIDDEN),
            f"{prefix}self_attn.v_proj.weight": (GROUPS * HEAD, HIDDEN),
            f"{prefix}self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD),
            f"{prefix}mlp.gate_proj.weight": (INNER, HIDDEN),
            f"{prefix}mlp.up_proj.weight": (INNER, HIDDEN),
            f"{prefix}mlp.down_proj.weight": (HIDDEN, INNER),
        }
    weights = {name: draw.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    norms = [f"model.layers.{n}.{norm}.weight" for n in range(LAYERS) for norm in NORMS]
    for name in ["model.norm.weight", *norms]:
        weights[name] = draw.integers(1, 9, HIDDEN).astype(np.float32) / np.float32(4)
    return weights


def paired_rows(weight: np.ndarray, heads: int) -> np.ndarray:
    """Order the rows of each head as llama.cpp does: row i beside row i + half."""
    half = len(weight) // heads // 2
    order = [h * 2 * half + i + s * half for h in range(heads) for i in range(half) for s in (0, 1)]
    return weight[order]


def stored(weight: np.ndarray, kind: Kind) -> np.ndarray:
    """The values that a tensor of type `kind` can hold, by gguf's own arithmetic."""
    if weight.ndim == 1:
        return weight
    return gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)


def write_gguf(
    path: Path,
    kind: Kind = Kind.Q4_1,
    embedding: Kind = Kind.Q8_0,
    tied: bool = True,
    change: Callable[[gguf.GGUFWriter], None] = lambda writer: None,
    tokenizer: Callable[[gguf.GGUFWriter], None] | None = None,
    architecture: str = "llama",
) -> dict[str, np.ndarray]:
    """Write a tiny Llama and return the float values it stands for."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_context_length(512)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(20000.0)
    (tokenizer or byte_level_tokenizer)(writer)
    expected = {}
    for name, weight in float_weights(tied).items():
        own = embedding if "embed_tokens" in name or "lm_head" in name else kind
        expected[name] = stored(weight, own)
        if "q_proj" in name or "k_proj" in name:
            weight = paired_rows(weight, HEADS if "q_proj" in name else GROUPS)
        if weight.ndim == 2:
            weight = gguf.quants.quantize(weight, own)
        else:
            own = Kind.F32
        writer.add_tensor(
            f"{GGUF_NAMES.get_name(name.removesuffix('.weight'))}.weight", weight, raw_dtype=own
        )
    change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def byte_level_tokenizer(writer: gguf.GGUFWriter, pre: str = "smollm") -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(SPECIALS) + [1] * (len(TOKENS) - len(SPECIALS)))
    writer.add_token_merges(["h e", "Ġ t", "1 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_chat_template(TEMPLATE)


def refused(source: Path, match: str) -> None:
    """Importing `source` is refused with its name and `match`, and leaves nothing behind."""
    models = source.parent / "models"
    with pytest.raises(UserError, match=match) as caught:
        import_gguf(source, models / "new")
    assert source.name in str(caught.value)
    assert caught.value.fix
    assert list(models.iterdir()) == []
