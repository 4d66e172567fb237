"""Validation: the whole set, token-weighted."""

import math
from collections.abc import Iterator, Sequence

from engine.backend import mx, nn
from engine.dataset.batches.micro_batch import MicroBatch
from engine.i18n import _
from engine.training.loss import LossFunction, batch_arrays

_CHANCE = 0.75
"""Share of the loss of guessing that no model which knows its tokens comes near.

With 49,152 tokens that is 8.1: SmolLM2 has 2.4 on its own tokens, 8.9 on those of another order.
"""


def evaluate(
    model: nn.Module, loss: LossFunction, batches: Sequence[MicroBatch]
) -> Iterator[tuple[int, float]]:
    """Score `batches` one by one, so that the caller may stop in between.

    Yields:
        (number of batches scored, mean loss in nats per trained token over them).
    """
    model.eval()
    total, count = 0.0, 0
    try:
        for done, batch in enumerate(batches, start=1):
            summed = loss(model, *batch_arrays(batch))
            mx.eval(summed)
            total += float(summed.item())
            count += batch.trained_tokens
            yield done, total / count
    finally:
        model.train()


def chance_warning(loss: float, vocabulary: int | None) -> str:
    """Say that a model hardly predicts better than one that takes all tokens for equally likely, if so.

    Args:
        loss: of the base model, mean over the tokens, nats.
        vocabulary: how many tokens there are; None where that is not known.
    """
    if vocabulary is None or loss <= _CHANCE * math.log(vocabulary):
        return ""
    return _("The base model predicts this data hardly better than chance: is its tokenizer the right one?")
