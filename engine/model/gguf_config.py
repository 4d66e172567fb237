"""From a GGUF header to the `config.json` of a Llama model and the tensors it must have."""

from typing import Any

from engine.i18n import _
from engine.model.gguf_header import GgufHeader, GgufTensor
from engine.sanitize import one_line

BITS = {"Q4_0": 4, "Q4_1": 4, "Q8_0": 8}
"""Of the types whose blocks are kept as they are."""
GROUP_SIZE = 32
"""Weights that share a scale and a bias: one GGUF block."""
_MATRIX_TYPES = ("Q4_0", "Q4_1", "Q8_0", "F16")
_VECTOR_TYPES = ("F32", "F16")
_VOCABULARY_TYPES = (*_MATRIX_TYPES, "Q6_K")
"""llama.cpp writes the output head of its 4-bit files in 6 bits; MLX reads that as float16."""
_TENSORS_PER_LAYER = 9


def llama_config(header: GgufHeader) -> dict[str, Any]:
    """Return mlx-lm's configuration of the model, less `quantization`.

    Raises:
        UserError: the file holds another architecture, or a value that makes no sense.
    """
    if header.metadata.get("general.type") == "adapter":
        header.refuse(_("it is an adapter and no model"), _("name the file of its base model"))
    architecture = header.text("general.architecture")
    if architecture != "llama":
        header.refuse(
            _("its architecture is '{name}'").format(name=one_line(architecture, 40)),
            _("choose a model of the Llama family (Llama, Mistral, SmolLM2)"),
        )
    hidden = header.integer("llama.embedding_length")
    heads = header.integer("llama.attention.head_count")
    if not heads or not hidden:
        header.refuse(_("it has no attention heads"))
    context = header.integer("llama.context_length")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": header.integer("llama.block_count"),
        "intermediate_size": header.integer("llama.feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": header.integer("llama.attention.head_count_kv", heads),
        "head_dim": header.integer("llama.attention.key_length", hidden // heads),
        "rms_norm_eps": header.number("llama.attention.layer_norm_rms_epsilon"),
        "vocab_size": _vocabulary_size(header),
        "max_position_embeddings": context,
        "rope_theta": header.number("llama.rope.freq_base", 10000.0),
        "rope_scaling": _rope_scaling(header, context),
        "tie_word_embeddings": "output.weight" not in header.tensors,
        "attention_bias": False,
        "mlp_bias": False,
        "dtype": "float16",
    }
    _check_heads(header, config)
    return config


def check_tensors(header: GgufHeader, config: dict[str, Any]) -> None:
    """Refuse a file whose tensors are not exactly those of `config`, in types that can be imported."""
    if config["num_hidden_layers"] * _TENSORS_PER_LAYER > len(header.tensors):
        header.refuse(_("tensors are missing"))
    expected = _expected_shapes(config)
    for name, tensor in header.tensors.items():
        if name not in expected:
            header.refuse(
                _("tensor {name} is not part of a plain Llama model").format(name=one_line(name, 60)),
                _("choose a Llama, Mistral or SmolLM2 model without experts, biases or vision"),
            )
        if tensor.kind not in _types(name, tensor):
            header.refuse(
                _("tensor {name} is of type {kind}").format(name=name, kind=tensor.kind),
                _("choose a file in one of: {names}").format(names=", ".join(_MATRIX_TYPES)),
            )
        if tensor.shape != expected[name]:
            header.refuse(
                _("tensor {name} has shape {found} where its header says {wanted}").format(
                    name=name, found=tensor.shape, wanted=expected[name]
                )
            )
    missing = expected.keys() - header.tensors.keys() - {"output.weight", "rope_freqs.weight"}
    if missing:
        header.refuse(_("tensor {name} is missing").format(name=min(missing)))


def odd_types(header: GgufHeader) -> list[str]:
    """Return the types of a file's tensors that cannot be imported."""
    return sorted({t.kind for name, t in header.tensors.items() if t.kind not in _types(name, t)})


def _types(name: str, tensor: GgufTensor) -> tuple[str, ...]:
    """Return the types that the tensor `name` may have."""
    if name in ("token_embd.weight", "output.weight"):
        return _VOCABULARY_TYPES
    return _MATRIX_TYPES if len(tensor.shape) == 2 else _VECTOR_TYPES


def _expected_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    queries = config["num_attention_heads"] * config["head_dim"]
    keys = config["num_key_value_heads"] * config["head_dim"]
    layer = {
        "attn_norm": (hidden,),
        "attn_q": (queries, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, queries),
        "ffn_norm": (hidden,),
        "ffn_gate": (inner, hidden),
        "ffn_up": (inner, hidden),
        "ffn_down": (hidden, inner),
    }
    shapes = {
        f"blk.{index}.{name}.weight": shape
        for index in range(config["num_hidden_layers"])
        for name, shape in layer.items()
    }
    return shapes | {
        "token_embd.weight": (vocabulary, hidden),
        "output_norm.weight": (hidden,),
        "output.weight": (vocabulary, hidden),
        "rope_freqs.weight": (config["head_dim"] // 2,),
    }


def _vocabulary_size(header: GgufHeader) -> int:
    embedding = header.tensors.get("token_embd.weight")
    if embedding is None:
        header.refuse(_("tensor {name} is missing").format(name="token_embd.weight"))
    return embedding.shape[0]


def _check_heads(header: GgufHeader, config: dict[str, Any]) -> None:
    heads, groups, size = (config[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    if not groups or heads % groups or not size or size % 2:
        header.refuse(
            _("{heads} heads, {groups} key heads and head size {size} do not go together").format(
                heads=heads, groups=groups, size=size
            )
        )
    for key in ("llama.rope.dimension_count", "llama.attention.value_length"):
        if header.integer(key, size) != size:
            header.refuse(
                _("its {key} differs from the head size {size}").format(key=key, size=size),
                _("choose a Llama, Mistral or SmolLM2 model"),
            )


def _rope_scaling(header: GgufHeader, context: int) -> dict[str, Any] | None:
    """Return how positions are stretched, as mlx-lm reads it; None for not at all."""
    kind = header.text("llama.rope.scaling.type", "none")
    if kind == "none":
        return None
    factor = header.number("llama.rope.scaling.factor")
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor}
    if kind == "yarn":
        original = header.integer("llama.rope.scaling.original_context_length", context)
        return {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    header.refuse(
        _("its positions are scaled by the unknown method '{name}'").format(name=one_line(kind, 40)),
        _("choose a model with linear or YaRN scaling, or none"),
    )
