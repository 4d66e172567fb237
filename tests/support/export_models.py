"""Tiny models of the architectures that are written as GGUF, each with a random adapter."""

import json
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from engine.backend import mx, nn
from engine.export.exporter import Exporter
from engine.export.scorer import Scorer
from engine.model.adapter import adapter_weights, attach_adapter, save_adapter
from engine.model.adapter_file import read_adapter
from engine.model.loading import open_model
from engine.project import Project
from tests.support.export_tokenizers import TokenizerKind, write_tokenizer_of
from tests.support.tiny import CHATML, RUN, pairs, write_rows

from mlx.utils import tree_flatten

_SIZES: dict[str, Any] = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 512,
    "rope_theta": 20000.0,
    "tie_word_embeddings": True,
}
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'assistant' %} {{ m['content'] }}{{ eos_token }}"
    "{% else %}[INST] {{ m['content'] }}[/INST]{% endif %}{% endfor %}"
)
LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LINEAR_SCALING = {"type": "linear", "factor": 2.0}


@dataclass(frozen=True)
class Kind:
    """A model to be written."""

    model_type: str = "llama"
    tokenizer: TokenizerKind = "llama3"
    group_size: int = 0
    """Of quantised weights; 0 for weights as `dtype` has them."""
    bits: int = 4
    """Of quantised weights."""
    dtype: mx.Dtype = mx.float16
    template: str | None = CHATML
    changes: dict[str, Any] = field(default_factory=dict)
    """Of `config.json`."""


KINDS = {
    "llama-bf16": Kind(dtype=mx.bfloat16, changes={"rope_scaling": LLAMA3_SCALING}),
    "llama-4bit-untied": Kind(
        tokenizer="smollm",
        group_size=64,
        changes={"tie_word_embeddings": False, "rope_scaling": LINEAR_SCALING},
    ),
    "mistral-first": Kind("mistral", "first", group_size=32, dtype=mx.bfloat16, template=MISTRAL),
    "mistral-prepend": Kind("mistral", "prepend", group_size=128, template=MISTRAL),
    "qwen2": Kind("qwen2", "qwen2", group_size=64, dtype=mx.bfloat16),
    "qwen3": Kind("qwen3", "qwen2", group_size=32, changes={"head_dim": 48, "tie_word_embeddings": False}),
}  # fmt: skip


def write_kind(folder: Path, kind: Kind) -> Path:
    """Write a model folder with random weights, norms and biases."""
    folder.mkdir(parents=True)
    tokens = write_tokenizer_of(folder, kind.tokenizer, kind.template)
    end = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    mark = json.loads((folder / "tokenizer_config.json").read_text())["eos_token"]
    config = {
        **_SIZES,
        "model_type": kind.model_type,
        "vocab_size": -(-tokens // 32) * 32,
        "eos_token_id": next(token["id"] for token in end if token["content"] == mark),
        **kind.changes,
    }
    (folder / "config.json").write_text(json.dumps(config))
    module = import_module(f"mlx_lm.models.{'llama' if kind.model_type == 'mistral' else kind.model_type}")
    mx.random.seed(7)
    model = module.Model(module.ModelArgs.from_dict(config))
    # Norms and biases that differ, so that none can be taken for another or left out.
    model.apply(lambda array: array * 1.25 if array.ndim > 1 else mx.random.normal(array.shape) * 0.1 + 0.8)
    model.set_dtype(kind.dtype)
    if kind.group_size:
        nn.quantize(model, group_size=kind.group_size, bits=kind.bits)
        config["quantization"] = {"group_size": kind.group_size, "bits": kind.bits}
        (folder / "config.json").write_text(json.dumps(config))
    mx.save_safetensors(str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())))
    return folder


def write_random_adapter(base: Path, folder: Path, **changes: Any) -> Path:
    """Write an adapter of rank 4 on all projections."""
    model = open_model(base)
    config = attach_adapter(model, RUN.updated({"lora_rank": 4, "lora_alpha": 8.0, **changes}))
    mx.random.seed(3)
    weights = {
        name: mx.random.normal(array.shape) * (0.06 if name.endswith("lora_b") else 0.2)
        for name, array in sorted(adapter_weights(model).items())
    }
    folder.parent.mkdir(exist_ok=True)
    save_adapter(folder, weights, config)
    return folder


def exporter_of(root: Path, kind: Kind, **changes: Any) -> Exporter:
    """Make a project with a model, a random adapter of it (its settings with `changes`) and five rows."""
    project = Project(root)
    base = write_kind(project.models_dir / "tiny", kind)
    write_rows(project.valid_file, pairs(5, start=100))
    adapter = read_adapter(write_random_adapter(base, project.adapters_dir, **changes))

    def silent(stage: str, share: float) -> None:
        pass

    scorer = Scorer(base, RUN, adapter, project.valid_file, silent)
    return Exporter(project, base, adapter, silent, scorer, "org/model")
