"""Validation: the whole set, token-weighted."""

from collections.abc import Iterator, Sequence

from engine.backend import mx, nn
from engine.dataset.batches import MicroBatch
from engine.training.loss import LossFunction, batch_arrays


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
