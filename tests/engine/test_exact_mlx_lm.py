"""Loss and gradient against mlx-lm's own data set, model and loss on the same weights, one row at a time."""

from pathlib import Path

from engine.backend import mx, nn
from engine.training.loss import batch_arrays, make_loss
from tests.support.batching import whole_batch
from tests.support.chat_forms import byte_tokenizer, conversation, tokenize
from tests.support.tiny import lora_model

import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tokenizer_utils import load as load_wrapped
from mlx_lm.tuner.datasets import ChatDataset
from mlx_lm.tuner.trainer import default_loss

PAIRS = [("Olá?", "Sim, é."), ("a", "b"), ("Quanto é 2 + 2?", "São 4, " * 6)]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("tied", [True, False])
def test_a_row_has_mlx_lms_loss_and_gradient(tmp_path: Path, pair: tuple[str, str], tied: bool) -> None:
    """From the text on: mlx-lm's tokens, its mask of the prompt, its model, its cross-entropy."""
    row = conversation(("user", pair[0]), ("assistant", pair[1]))
    tokenizer = byte_tokenizer(tmp_path, "llama3")
    data = ChatDataset([], load_wrapped(tmp_path), mask_prompt=True)
    tokens, offset = data.process({"messages": list(row.messages)})
    model = lora_model()
    if not tied:
        model.args.tie_word_embeddings = False
        model.lm_head = nn.Linear(32, 320, bias=False)
        model.lm_head.freeze()
    spans = mx.array([[offset, len(tokens) - 1]])
    (loss, count), gradient = nn.value_and_grad(model, default_loss)(model, mx.array([list(tokens)]), spans)
    example = tokenize(tokenizer, row)
    batch = whole_batch([example])
    ours, slopes = nn.value_and_grad(model, make_loss(model))(model, *batch_arrays(batch))
    assert batch.trained_tokens == int(count) == len(pair[1].strip().encode()) + 1
    assert float(ours) / batch.trained_tokens == pytest.approx(float(loss), rel=1e-5)
    for (name, array), (_name, expected) in zip(tree_flatten(slopes), tree_flatten(gradient), strict=True):
        difference = np.abs(np.array(array) / batch.trained_tokens - np.array(expected)).max()
        assert difference <= 1e-5 * float(mx.abs(expected).max()), name
