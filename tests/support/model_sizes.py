"""Sizes of real models."""

import json
from pathlib import Path
from typing import Any

from engine.model_folder.dimensions import ModelDimensions

MISTRAL_7B: dict[str, Any] = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
    "quantization": {"group_size": 64, "bits": 4},
}
SMOLLM2_135M: dict[str, Any] = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
    "quantization": {"group_size": 32, "bits": 4},
}


def shape_of(folder: Path, values: dict[str, Any]) -> ModelDimensions:
    (folder / "config.json").write_text(json.dumps(values))
    sizes = ModelDimensions.read(folder)
    assert sizes is not None
    return sizes
