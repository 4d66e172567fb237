"""How many tokens a model takes at most, as its folder tells it."""

import json
from pathlib import Path
from typing import Any

from engine.files import read_given

# One idea under the names of several architectures.
_KEYS = (
    "max_position_embeddings",
    "max_sequence_length",
    "max_seq_len",
    "n_positions",
    "n_ctx",
    "seq_length",
)
_SANE = range(1, 100_000_000)
"""Tokenizers without a limit have 10 to the 30th."""


def context_length(folder: Path) -> int | None:
    """Return the most tokens of prompt and reply together; None if the folder names no limit.

    A sliding window is none: what has left it still counts through the layers above.
    """
    config = _read(folder / "config.json")
    found = [length for part in (config, config.get("text_config")) for length in _lengths(part)]
    if not found:
        # Asked last: many a fine-tuned model's tokenizer has the length that it was trained with there.
        found = _sane(_read(folder / "tokenizer_config.json").get("model_max_length"))
    return max(found, default=None)


def _lengths(config: Any) -> list[int]:
    """Return what a configuration calls its length, and what scaled positions make of it."""
    if not isinstance(config, dict):
        return []
    lengths = [length for key in _KEYS for length in _sane(config.get(key))]
    scaling = config.get("rope_scaling") or config.get("rope_parameters")
    if isinstance(scaling, dict):
        factor = scaling.get("factor")
        if isinstance(factor, (int, float)) and 1 <= factor < len(_SANE):
            original = _sane(scaling.get("original_max_position_embeddings"))
            lengths += [int(factor * length) for length in original]
    return lengths


def _sane(value: Any) -> list[int]:
    """Return `value` in a list if it can be a length."""
    return [value] if type(value) is int and value in _SANE else []


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_given(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
