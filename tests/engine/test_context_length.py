"""The most tokens that a model takes, from the files of many families."""

import json
from pathlib import Path
from typing import Any

from engine.model_folder.context_length import context_length

import pytest

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("config", "tokenizer", "expected"),
    [
        ({"max_position_embeddings": 8192}, {}, 8192),
        ({"text_config": {"max_position_embeddings": 131072}}, {}, 131072),
        ({"n_positions": 1024}, {}, 1024),
        ({"max_position_embeddings": 32768, "sliding_window": 4096}, {}, 32768),
        ({"max_position_embeddings": 32768, "rope_scaling": YARN}, {}, 131072),
        ({"max_position_embeddings": 32768, "rope_scaling": {"factor": "x"}}, {}, 32768),
        ({"max_position_embeddings": 32768}, {"model_max_length": 2048}, 32768),
        ({}, {"model_max_length": 2048}, 2048),
        ({}, {"model_max_length": 1000000000000000019884624838656}, None),
        ({"max_position_embeddings": 0}, {}, None),
        ({"max_position_embeddings": True, "n_ctx": "9", "seq_length": -3}, {}, None),
        ({"text_config": [1]}, {"model_max_length": 1e30}, None),
        ([], [], None),
    ],
)
def test_context_length(tmp_path: Path, config: Any, tokenizer: Any, expected: int | None) -> None:
    """A sliding window is no limit, and a tokenizer is asked only where the model says nothing."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    assert context_length(tmp_path) == expected


def test_files_that_cannot_be_read_name_no_limit(tmp_path: Path) -> None:
    """Others refuse such a model."""
    assert context_length(tmp_path) is None
    (tmp_path / "config.json").write_bytes(b"\xff{")
    assert context_length(tmp_path) is None
