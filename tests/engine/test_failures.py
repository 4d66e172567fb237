"""Failures that a user can mend are told apart from defects."""

import errno
import os
from pathlib import Path

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.training.failures import explained_writes, out_of_memory

import pytest


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"batch_size": 2, "gradient_checkpointing": "off"}, "train --half-micro-batch"),
        ({"batch_size": 1, "max_seq_length": 256}, "train --half-micro-batch"),
        ({"batch_size": 1, "gradient_checkpointing": "off"}, "--restart --set gradient_checkpointing=on"),
        (
            {"batch_size": 1, "gradient_checkpointing": "on", "max_seq_length": 256},
            "--restart --set max_seq_length=128",
        ),
        (
            {"batch_size": 1, "lora_dropout": 0.1, "max_seq_length": 256},
            "--restart --set max_seq_length=128",
        ),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[malloc] Unable to allocate 123 bytes."),
        RuntimeError("[METAL] Command buffer execution failed: Insufficient Memory"),
        RuntimeError("[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum"),
    ],
)
def test_out_of_memory_names_what_needs_less(
    error: Exception, values: dict[str, object], advice: str
) -> None:
    """The advice keeps the run where half the micro-batch helps, and is a command that can be typed."""
    refusal = out_of_memory(error, TrainingConfig().updated(values), 1)
    assert refusal is not None and advice in str(refusal)


def test_the_advice_to_halve_ends_where_nothing_is_left_to_halve() -> None:
    """Rows alone, then recomputed: from then on shorter rows are what helps."""
    advice = [
        str(out_of_memory(MemoryError(), TrainingConfig(batch_size=2, max_seq_length=512), divisor))
        for divisor in (1, 2, 4)
    ]
    assert "--half-micro-batch" in advice[0] and "--half-micro-batch" in advice[1]
    assert "--restart --set max_seq_length=256" in advice[2]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some disk space"),
        (errno.EDQUOT, "delete files of yours on that disk"),
        (errno.EFBIG, "allow larger files with ulimit -f unlimited"),
        (errno.EROFS, "make the folder writable"),
        (errno.EACCES, "make the folder writable"),
        (errno.EIO, "put that right"),
    ],
)
def test_a_failed_write_names_the_folder_the_reason_and_the_way_out(number: int, advice: str) -> None:
    """A full disk is mended otherwise than one that may not be written."""
    with pytest.raises(UserError) as refused, explained_writes(Path("runs")):
        raise OSError(number, os.strerror(number))
    assert refused.value.problem == f"Cannot write to runs: {os.strerror(number)}"
    assert advice in refused.value.fix and "mqlora-tui train" in refused.value.fix


def test_other_errors_are_not_explained_away() -> None:
    """A defect stays a defect."""
    assert out_of_memory(RuntimeError("shapes do not match"), TrainingConfig(), 1) is None
