"""A llama with LoRA written out in float64 NumPy, from the papers: the reference for loss and gradients.

RMSNorm (Zhang and Sennrich, 2019), rotary positions (Su et al., 2021), grouped key heads
(Ainslie et al., 2023), SwiGLU (Shazeer, 2020), LoRA (Hu et al., 2021).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = dict[str, Array]


def summed_loss(weights: Weights, config: dict[str, Any], scale: float, tokens: Any, trained: Any) -> float:
    """Return the summed cross-entropy of one example's trained tokens, in nats.

    Args:
        weights: arrays by mlx-lm's names.
        config: content of `config.json`.
        scale: LoRA's alpha / rank.
        tokens: shape (length,).
        trained: shape (length,), whether a token is to be predicted.
    """
    total = 0.0
    scores = logits(weights, config, scale, tokens)
    for position in np.flatnonzero(trained):
        row = scores[position - 1]
        total += np.log(np.exp(row - row.max()).sum()) + row.max() - row[tokens[position]]
    return float(total)


def logits(weights: Weights, config: dict[str, Any], scale: float, tokens: Any) -> Array:
    """Return the scores of the next token after each of `tokens`, shape (length, vocabulary)."""
    embedding = weights["model.embed_tokens.weight"]
    hidden = embedding[np.asarray(tokens)]
    for index in range(config["num_hidden_layers"]):
        layer = _Layer(weights, config, scale, f"model.layers.{index}.")
        hidden = hidden + layer.attention(layer.norm(hidden, "input_layernorm"))
        hidden = hidden + layer.mlp(layer.norm(hidden, "post_attention_layernorm"))
    last = _Layer(weights, config, scale, "model.").norm(hidden, "norm")
    return last @ weights.get("lm_head.weight", embedding).T


class _Layer:
    """One transformer layer."""

    def __init__(self, weights: Weights, config: dict[str, Any], scale: float, prefix: str) -> None:
        self._weights, self._config, self._scale, self._prefix = weights, config, scale, prefix

    def norm(self, x: Array, name: str) -> Array:
        size: Array = np.sqrt((x * x).mean(-1, keepdims=True) + self._config["rms_norm_eps"])
        return x / size * self._weights[f"{self._prefix}{name}.weight"]

    def project(self, x: Array, name: str) -> Array:
        """The frozen projection and, where there is one, its low-rank update."""
        path = self._prefix + name
        if f"{path}.lora_a" not in self._weights:
            return x @ self._weights[f"{path}.weight"].T
        update = x @ self._weights[f"{path}.lora_a"] @ self._weights[f"{path}.lora_b"]
        return x @ self._weights[f"{path}.linear.weight"].T + self._scale * update

    def attention(self, x: Array) -> Array:
        heads, groups = self._config["num_attention_heads"], self._config["num_key_value_heads"]
        length, width = len(x), self._config["hidden_size"] // heads
        q = _rotate(self.project(x, "self_attn.q_proj").reshape(length, heads, width))
        k = _rotate(self.project(x, "self_attn.k_proj").reshape(length, groups, width))
        v = self.project(x, "self_attn.v_proj").reshape(length, groups, width)
        out = np.empty((length, heads, width))
        for head in range(heads):
            group = head * groups // heads
            scores = q[:, head] @ k[:, group].T / np.sqrt(width)
            scores[np.triu_indices(length, 1)] = -np.inf  # nobody looks ahead
            share = np.exp(scores - scores.max(-1, keepdims=True))
            out[:, head] = share / share.sum(-1, keepdims=True) @ v[:, group]
        return self.project(out.reshape(length, -1), "self_attn.o_proj")

    def mlp(self, x: Array) -> Array:
        gate = self.project(x, "mlp.gate_proj")
        return self.project(gate / (1 + np.exp(-gate)) * self.project(x, "mlp.up_proj"), "mlp.down_proj")


def _rotate(x: Array) -> Array:
    """Turn pairs (i, i + width / 2) of each head by position * 10000 ** (-2 i / width)."""
    length, _heads, width = x.shape
    half = width // 2
    angle = np.outer(np.arange(length), 10_000.0 ** (-np.arange(half) / half))[:, None]
    left, right = x[..., :half], x[..., half:]
    turned = left * np.cos(angle) - right * np.sin(angle), right * np.cos(angle) + left * np.sin(angle)
    return np.concatenate(turned, -1)


def slope(weights: Weights, name: str, entry: tuple[int, ...], *arguments: Any) -> float:
    """Return the derivative of `summed_loss` by one entry of one array, by central differences."""
    values = []
    for step in (1e-5, -1e-5):
        moved = weights[name].copy()
        moved[entry] += step
        values.append(summed_loss(weights | {name: moved}, *arguments))
    return (values[0] - values[1]) / 2e-5
