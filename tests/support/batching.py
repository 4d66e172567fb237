"""Micro-batches for tests that need some, without a run to plan them for."""

from collections.abc import Sequence

from engine.dataset.batches.bucket_plan import Limits, plan_shapes
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, micro_batches
from engine.dataset.batches.tokenize import Example


def whole_batch(examples: Sequence[Example], length: int = 0, free: int = 0) -> MicroBatch:
    """Return all examples in one micro-batch, their length at least `length`, with room for `free` tokens."""
    longest = max(length, *(len(example.tokens) for example in examples))
    trained = sum(int(example.trained.sum()) for example in examples)
    tokens = sum(len(example.tokens) - 1 for example in examples) + 1 + free
    (batch,) = micro_batches(examples, [BatchShape(len(examples), longest, trained, tokens)])
    return batch


def planned_batches(examples: Sequence[Example], max_tokens: int, max_rows: int) -> list[MicroBatch]:
    """Return the micro-batches of a run whose only step these examples are."""
    return micro_batches(examples, plan_shapes(examples, [], len(examples), 0, Limits(max_tokens, max_rows)))
