"""Heads turned and moved in one CUDA kernel, against the model's own rotary embedding and float64."""

from collections.abc import Callable
from typing import Any

from engine.backend import is_cuda, mx, nn
from engine.model import rope_kernel
from engine.model.rope_kernel import Rotation, has_kernel, is_rotation, plain, rotation_of, turn_alike, turned
from engine.training.loss import batch_arrays
from tests.support.architectures import BATCH, assert_same, build, found, made_fast, plain_loss
from tests.support.batching import whole_batch
from tests.support.steps import some_examples

import numpy as np
import pytest
from mlx_lm.models.rope_utils import initialize_rope

HEAD, POSITIONS = 32, 40
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}


@pytest.mark.parametrize("scaling", [None, {"type": "linear", "factor": 2.0}, LLAMA3, YARN])
def test_a_rotation_is_that_of_the_models_embedding(scaling: dict[str, Any] | None) -> None:
    """At every position, also of those that scale angles or lengths."""
    rope = initialize_rope(HEAD, 1e4, False, scaling, 64)
    assert is_rotation(rope, HEAD) and turn_alike(rope, rope, HEAD)
    x = mx.random.normal((1, 3, POSITIONS, HEAD), key=mx.random.key(1))
    positions = mx.arange(POSITIONS)
    ours = plain(x[0].swapaxes(0, 1), positions, positions, rotation_of(rope, HEAD, POSITIONS))
    assert mx.allclose(ours.swapaxes(0, 1), rope(x)[0], rtol=0, atol=1e-4)


def test_what_turns_otherwise_is_left_alone() -> None:
    """Neighbours in pairs, a part of a head, a head that is no whole number of reads."""
    assert not is_rotation(nn.RoPE(HEAD, traditional=True), HEAD)
    assert not is_rotation(nn.RoPE(HEAD // 2), HEAD)
    assert not is_rotation(nn.RoPE(24), 24)
    assert not turn_alike(nn.RoPE(HEAD), nn.RoPE(HEAD, base=500.0), HEAD)


def full_rows() -> Any:
    """A batch in a shape that has all positions of its rows."""
    positions = BATCH[1].size
    return batch_arrays(whole_batch(some_examples(5), free=positions - BATCH[0].size))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gemma2", "granite"])
@pytest.mark.parametrize("rows", [BATCH, full_rows()], ids=["unpadded", "full"])
def test_a_model_turns_its_heads_on_the_way(monkeypatch: pytest.MonkeyPatch, kind: str, rows: Any) -> None:
    """Against mlx-lm's own layers, with MLX's operations in the kernel's place: that runs on any machine."""
    calls = []

    def stand_in(x: mx.array, source: mx.array, position: mx.array, rotation: Rotation) -> mx.array:
        calls.append(x.shape)
        return plain(x, source, position, rotation)

    model = build(kind, head_dim=16)
    expected = found(model, lambda model, *_batch: plain_loss(model, *rows))
    monkeypatch.setattr(rope_kernel, "has_kernel", lambda _dtype: True)
    monkeypatch.setattr(rope_kernel, "turned", stand_in)
    loss = made_fast(model, "transient")
    calls.clear()  # those of the trial
    assert_same(found(model, lambda model, *_batch: loss(model, *rows)), expected)
    # There and back for queries and keys of two layers, but where norms of heads come before the rotation.
    assert len(calls) == (0 if kind == "qwen3" else 8)


def test_without_a_card_no_kernel_is_used() -> None:
    """Nor for numbers of 32 bits."""
    assert has_kernel(mx.bfloat16) == is_cuda()
    assert not has_kernel(mx.float32)


@pytest.mark.parametrize("turn", [plain, turned] if is_cuda() else [plain])
@pytest.mark.parametrize("heads", [1, 3, 8])
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_heads_are_turned_exactly(turn: Callable[..., mx.array], heads: int, dtype: mx.Dtype) -> None:
    """By the kernel, where there is a card, and by its stand-in: rows in any order, some twice."""
    rotation = rotation_of(nn.RoPE(128), 128, POSITIONS)
    x = mx.random.normal((25, heads, 128), key=mx.random.key(2)).astype(dtype)
    source, position = (mx.random.randint(0, n, (60,), key=mx.random.key(n)) for n in (25, POSITIONS))
    ours = turn(x, source, position, rotation)
    exact = np.array(x.astype(mx.float32), np.float64)[np.array(source)]
    cosines, sines = (np.array(table, np.float64)[np.array(position)][:, None] for table in rotation)
    first, second = exact[..., :64], exact[..., 64:]
    wanted = np.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)
    assert ours.shape == wanted.shape and ours.dtype == dtype
    np.testing.assert_allclose(np.array(ours.astype(mx.float32)), wanted, rtol=2**-7, atol=1e-3)
