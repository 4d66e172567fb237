"""Write a model folder with random 4-bit weights, made on the device itself.

    python -m benchmarks.random_model DIR --shape mistral-7b

Speed and memory of training depend on the shapes of the weights, not on what they
are. Weights are drawn from N(0, 0.02^2) in bfloat16 and packed one by one (4 bits, groups
of 64), a file every few layers, so no more than that is ever held. The
tokenizer has a token a byte, so lengths are easy to choose.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.backend import mx
from engine.model_folder.dimensions import ModelDimensions
from tests.support.tiny import write_tokenizer

GROUP_SIZE, BITS = 64, 4
_LAYERS_A_FILE = 8
_DEVIATION = 0.02
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML where nothing follows the end of a turn, so mlx-lm and the engine train on the same tokens."""

SHAPES: dict[str, dict[str, Any]] = {
    # Mistral-7B-v0.3's config.json
    "mistral-7b": {
        "model_type": "mistral",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 14336,
        "vocab_size": 32768,
        "rope_theta": 1e6,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
    # Llama-3.2-1B's
    "1b": {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "intermediate_size": 8192,
        "vocab_size": 128256,
        "rope_theta": 5e5,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "model_type": "mistral",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 128,
        "vocab_size": 320,
        "rope_theta": 1e4,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
}


def write_model(folder: Path, shape: str, seed: int = 0) -> int:
    """Write a model of a shape named in `SHAPES` to the new `folder` and return its bytes.

    Raises:
        FileExistsError: there is such a folder.
    """
    folder.mkdir(parents=True)
    config = {**SHAPES[shape], "eos_token_id": 257}
    config["quantization"] = {"group_size": GROUP_SIZE, "bits": BITS}
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    write_tokenizer(folder, TEMPLATE)
    mx.random.seed(seed)
    dimensions = ModelDimensions.read(folder)
    assert dimensions is not None  # as written above
    for index, arrays in enumerate(_files(dimensions), start=1):
        mx.save_safetensors(str(folder / f"model-{index:05d}.safetensors"), arrays, {"format": "mlx"})
    return sum(path.stat().st_size for path in folder.iterdir())


def _files(shape: ModelDimensions) -> Iterator[dict[str, mx.array]]:
    """Yield the arrays of each file."""
    arrays = _packed("model.embed_tokens", shape.hidden, shape.vocab)
    if not shape.tied:
        arrays |= _packed("lm_head", shape.hidden, shape.vocab)
    yield arrays | {"model.norm.weight": _ones(shape)}
    for begin in range(0, shape.layers, _LAYERS_A_FILE):
        arrays = {}
        for layer in range(begin, min(begin + _LAYERS_A_FILE, shape.layers)):
            arrays |= _layer(shape, f"model.layers.{layer}")
        yield arrays


def _layer(shape: ModelDimensions, path: str) -> dict[str, mx.array]:
    arrays = {
        f"{path}.input_layernorm.weight": _ones(shape),
        f"{path}.post_attention_layernorm.weight": _ones(shape),
    }
    for name, (inputs, outputs) in shape.projections.items():
        block = "self_attn" if name in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
        arrays |= _packed(f"{path}.{block}.{name}", inputs, outputs)
    return arrays


def _ones(shape: ModelDimensions) -> mx.array:
    return mx.ones((shape.hidden,), mx.bfloat16)


def _packed(path: str, inputs: int, outputs: int) -> dict[str, mx.array]:
    """Return a random matrix packed, under the names that mlx-lm's models have for it."""
    drawn = mx.random.normal((outputs, inputs), mx.bfloat16, scale=_DEVIATION)
    weight, scales, biases = mx.quantize(drawn, GROUP_SIZE, BITS)
    mx.eval(weight, scales, biases)  # so that the matrix itself is gone before the next
    return {f"{path}.weight": weight, f"{path}.scales": scales, f"{path}.biases": biases}


def main() -> None:
    """Write the folder and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="mistral-7b")
    options = parser.parse_args()
    begin = time.perf_counter()
    size = write_model(options.folder, options.shape)
    print(f"{options.folder}: {size / 1e9:.2f} GB in {time.perf_counter() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
