"""Models on rows that stand one after the other, against the same models on padded rows."""

from typing import Any

from engine.backend import mx, nn
from engine.model import packed_rows
from engine.model.packed_rows import PackedRows
from engine.model.padding_free import UnpaddedAttention, run_rows, takes_unpadded, unpad_attention
from engine.training.loss import batch_arrays
from tests.support.architectures import BATCH, assert_same, build, found, made_fast, plain_loss, unpadded_loss
from tests.support.batching import whole_batch
from tests.support.steps import some_examples

import pytest
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.models.llama import Attention


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("gemma3_text", {"sliding_window": 3}),
        ("llama", {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}),
    ],
)
def test_a_sliding_window_is_that_of_each_row(kind: str, changes: dict[str, Any]) -> None:
    """Rows longer than the window; mlx-lm's own layers all the way."""
    model = build(kind, **changes)
    expected = found(model, plain_loss)
    wide = found(build(kind, **changes | {"sliding_window": 64}), plain_loss)
    assert wide[0] != pytest.approx(expected[0], rel=1e-4)
    assert unpad_attention(model)
    assert_same(found(model, unpadded_loss), expected)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "qwen3"])
def test_rows_whose_padding_is_computed_give_the_same(kind: str) -> None:
    """The same examples in a shape that has all positions of its rows."""
    positions = BATCH[1].size
    rows = batch_arrays(whole_batch(some_examples(5), free=positions - BATCH[0].size))
    assert rows[0].size == rows[1].size == positions > BATCH[0].size
    model = build(kind)
    loss = made_fast(model, "transient")
    assert_same(found(model, lambda model, *_batch: loss(model, *rows)), found(model, loss))


def test_rows_do_not_see_each_other() -> None:
    """Another token in the first row changes the logits of that row from there on, and no others."""
    model = build()
    assert unpad_attention(model)
    tokens, slots, places, *_rest = BATCH
    other = tokens + (mx.arange(tokens.size) == 1) * 7
    before, after = (run_rows(model, model, t, slots, places) for t in (tokens, other))
    changed = mx.any(before != after, axis=-1).tolist()
    real = tokens.size - 1
    first = int((slots[0] < real).sum().item())
    assert changed[:real] == [1 <= index < first for index in range(real)]


def test_generation_goes_on_as_before() -> None:
    """With mlx-lm's caches, token by token; and blocks of other models are not touched."""
    model, other = build(), build()
    prompt = mx.array([[5, 6, 7, 8]])
    expected = other(prompt)
    assert unpad_attention(model) and unpad_attention(model) and not takes_unpadded(other)
    assert type(other.layers[0].self_attn) is Attention
    assert mx.array_equal(model(prompt), expected)
    cache = make_prompt_cache(model)
    steps = [model(prompt[:, i : i + 1], cache=cache) for i in range(4)]
    assert mx.allclose(mx.concatenate(steps, axis=1), expected, atol=1e-4)


def test_a_block_that_reads_its_input_stays_on_padded_rows() -> None:
    """It would get zeros: the trial shows it. Its loss and gradient are those of mlx-lm's layers."""

    class Gated(Attention):  # type: ignore[misc]
        def __call__(self, x: mx.array, mask: Any = None, cache: Any = None) -> mx.array:
            return super().__call__(x, mask, cache) * mx.sigmoid(x)

    model = build()
    for layer in model.layers:
        layer.self_attn.__class__ = Gated
    expected = found(model, plain_loss)
    loss = made_fast(model, "resident")
    assert not takes_unpadded(model)
    assert not any(isinstance(layer.self_attn, UnpaddedAttention) for layer in model.layers)
    assert_same(found(model, loss), expected)


def test_a_model_without_such_blocks_stays_on_padded_rows() -> None:
    """Nothing is tried on it."""
    model = build()
    model.layers[0].self_attn = nn.Linear(4, 4)
    assert not unpad_attention(model)
    assert type(model.layers[1].self_attn) is Attention


@pytest.mark.parametrize("width", [64, 6])
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float32])
def test_numbers_are_moved_in_larger_pieces_on_cuda(
    monkeypatch: pytest.MonkeyPatch, width: int, dtype: mx.Dtype
) -> None:
    """Where a row is a whole number of pieces; gradients too, and in a compiled function."""
    _tokens, slots, places, *_rest = BATCH
    x = mx.random.normal((1, places.size, width), key=mx.random.key(3)).astype(dtype)
    weights = mx.random.normal((*slots.shape, width), key=mx.random.key(4)).astype(dtype)
    weights = mx.where((slots < places.size - 1)[..., None], weights, 0)  # no loss depends on padding

    def loss(x: mx.array) -> mx.array:
        rows = PackedRows(slots, places)
        return (rows.pad(rows.unpad(rows.pad(x))) * weights).astype(mx.float32).sum()

    def plain(x: mx.array) -> mx.array:
        return (x[0][slots] * weights).astype(mx.float32).sum()

    expected = mx.value_and_grad(plain)(x)
    monkeypatch.setattr(packed_rows, "is_cuda", lambda: True)
    for function in (mx.value_and_grad(loss), mx.compile(mx.value_and_grad(loss))):
        found = function(x)
        assert mx.array_equal(found[0], expected[0]) and mx.array_equal(found[1], expected[1])
