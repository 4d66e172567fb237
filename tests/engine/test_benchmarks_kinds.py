"""The comparison of LoRA and DoRA runs on any model, and times both."""

from pathlib import Path

from benchmarks.adapter_kinds import KINDS, random_batch, seconds
from tests.support.tiny import write_model


def test_a_step_of_each_kind_is_timed(tmp_path: Path) -> None:
    """On full rows, half of whose tokens carry loss."""
    batch = random_batch(2, 32)
    assert (batch.real_tokens, batch.trained_tokens) == (64, 32)
    found = seconds(write_model(tmp_path / "tiny"), 2, 32, 1)
    assert found.keys() == set(KINDS) and min(found.values()) > 0
