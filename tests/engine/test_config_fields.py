"""What fits the fields of an architecture: all that real configurations have, and no text for a number."""

import json
import warnings
from typing import Any

from engine.model_folder.architectures import is_known
from engine.model_folder.config_fields import misfits

import pytest
from transformers import CONFIG_MAPPING

LLAMA = {"model_type": "llama"}


def test_no_configuration_of_transformers_is_refused() -> None:
    """Each architecture that both have, with the values that it has by itself."""
    kinds = [kind for kind in CONFIG_MAPPING if is_known(kind)]
    assert len(kinds) > 50
    with warnings.catch_warnings(action="ignore"):
        for kind in kinds:
            written = json.loads(CONFIG_MAPPING[kind]().to_json_string(use_diff=False))
            assert list(misfits(written | {"model_type": kind})) == []


@pytest.mark.parametrize(
    ("config", "loose", "strict"),
    [
        (LLAMA | {"rope_theta": "1e5"}, ["rope_theta"], ["rope_theta"]),
        (LLAMA | {"rope_theta": {"of": 1}}, ["rope_theta"], ["rope_theta"]),
        (LLAMA | {"rope_theta": {"__float__": "Infinity"}}, [], []),
        (LLAMA | {"rope_theta": [1.0]}, [], ["rope_theta"]),
        (LLAMA | {"rope_theta": None}, [], ["rope_theta"]),
        (LLAMA | {"rope_theta": True, "attention_bias": 0}, [], []),
        (LLAMA | {"head_dim": None, "rope_scaling": None}, [], []),
        (LLAMA | {"rope_scaling": 7}, ["rope_scaling"], ["rope_scaling"]),
        (LLAMA | {"layer_types": "LLG"}, [], []),
        (LLAMA | {"unheard_of": {}, "eos_token_id": "2"}, [], []),
        ({"model_type": "mistral", "rms_norm_eps": "1e-5"}, ["rms_norm_eps"], ["rms_norm_eps"]),
        ({"model_type": "smollm3", "rope_theta": "1e5"}, ["rope_theta"], ["rope_theta"]),
        ({"model_type": "qwen3_5", "text_config": {"rms_norm_eps": "x"}}, ["rms_norm_eps"], ["rms_norm_eps"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(config: dict[str, Any], loose: list[str], strict: list[str]) -> None:
    """Of the file itself, of a text model in it, and of an architecture that takes another's fields."""
    assert [name for name, _value in misfits(config)] == loose
    assert [name for name, _value in misfits(config, strict=True)] == strict
