"""The loss against a float64 softmax on mlx-lm's own logits, for each kind of head."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.backend import mx, nn
from engine.dataset.batches.cut import BatchShape
from engine.errors import UserError
from engine.memory.predict import MemoryBudget
from engine.model.gradient_checkpointing import checkpoint_layers
from engine.model.lm_head import plain_head
from engine.training.execution_plan import make_plan
from engine.training.loss import batch_arrays, full_loss, make_loss
from tests.support.batching import whole_batch
from tests.support.steps import some_examples
from tests.support.tiny import RUN, lora_model, write_model

import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model

EXAMPLES = some_examples(5)
BATCH = whole_batch(EXAMPLES)


def reference(model: nn.Module) -> float:
    """Sum of -log softmax over every trained token, row by row, without padding."""
    total = 0.0
    for example in EXAMPLES:
        logits = np.array(model(mx.array(example.tokens)[None]).astype(mx.float32)[0], np.float64)
        for position in np.flatnonzero(example.trained):
            before = logits[position - 1]
            shifted = before - before.max()
            total += math.log(np.exp(shifted).sum()) - shifted[example.tokens[position]]
    return total


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("quantize", [True, False])
def test_the_loss_is_cross_entropy_over_the_trained_tokens(
    tmp_path: Path, tied: bool, quantize: bool
) -> None:
    """For models with a head of their own and with the embedding as head."""
    folder = write_model(tmp_path / "model", quantize, tie_word_embeddings=tied)
    model, _config = load_model(folder)
    expected = reference(model)
    assert make_loss(model) is not full_loss
    for loss in (make_loss(model), full_loss):
        assert float(loss(model, *batch_arrays(BATCH))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("cap", [5, 1000])
def test_a_head_that_does_more_than_a_product_is_respected(cap: int) -> None:
    """Where a product does not give the model's logits, be it by a hair, the model's own head is asked."""

    class Capped(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            inner = lora_model()
            self.model, self.args, self.layers = inner.model, inner.args, inner.layers

        def __call__(self, tokens: mx.array) -> mx.array:
            return cap * mx.tanh(self.model.embed_tokens.as_linear(self.model(tokens)) / cap)

    model = Capped()
    assert plain_head(model, {}) is None
    assert make_loss(model) is not full_loss
    assert float(make_loss(model)(model, *batch_arrays(BATCH))) == pytest.approx(reference(model), rel=1e-5)
    assert make_loss(SimpleNamespace(model=None)) is full_loss


def gradients(model: nn.Module) -> dict[str, mx.array]:
    _loss, gradient = nn.value_and_grad(model, make_loss(model))(model, *batch_arrays(BATCH))
    return dict(tree_flatten(gradient))


def test_recomputed_activations_give_the_same_gradient() -> None:
    """Gradient checkpointing saves memory, not mathematics."""
    found = []
    for recompute in (False, True):
        model = lora_model()
        if recompute:
            checkpoint_layers(model, len(model.layers), len(model.layers))
        found.append(gradients(model))
    assert found[0].keys() == found[1].keys()
    for name, array in found[0].items():
        assert bool(mx.allclose(array, found[1][name], rtol=1e-3, atol=1e-3)), name


def test_recomputing_with_dropout_is_refused_and_never_chosen(tmp_path: Path) -> None:
    """The second pass would draw another mask, and the gradient would be of no function."""

    def recomputed(**changes: Any) -> int:
        config, shape, budget = (
            RUN.updated(changes),
            BatchShape.full(2, 64, 64),
            MemoryBudget("cpu", 10**9, 10**9),
        )
        plan, _why = make_plan(lora_model(), tmp_path, config, shape, budget, 2, is_too_much=True)
        return plan.recomputed_layers

    with pytest.raises(UserError, match="lora_dropout"):
        recomputed(gradient_checkpointing="on", lora_dropout=0.1)
    assert recomputed(lora_dropout=0.1) == 0
    assert recomputed(gradient_checkpointing="off") == 0
    assert recomputed(gradient_checkpointing="on") == recomputed() == 2


def test_only_the_adapter_gets_a_gradient() -> None:
    """The base model stays frozen."""
    assert all(name.endswith(("lora_a", "lora_b")) for name in gradients(lora_model()))
