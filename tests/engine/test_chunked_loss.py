"""The loss in chunks against float64, and against MLX's own gradient of the plain form."""

from collections.abc import Callable

from engine.backend import mx, nn
from engine.model.frozen_linear import FrozenLinear
from engine.model.matmul_timings import MATMUL_MODES, MatmulMode
from engine.training import loss as loss_module
from engine.training.loss import batch_arrays, chunked_loss, holds_all_logits, make_loss
from tests.support.architectures import build, found, made_fast, plain_loss
from tests.support.batching import whole_batch
from tests.support.steps import some_examples

import numpy as np
import pytest

COUNT, WIDTH, VOCABULARY = 23, 64, 500
# Of 8 rows, of a single row (as many as there are), and all at once.
CHUNKS = [8 * VOCABULARY + 3, 1, 10**9]


@pytest.fixture(params=CHUNKS)
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many logits exist at a time."""
    monkeypatch.setattr(loss_module, "LOGIT_CHUNK", request.param)
    return int(request.param)


def head(mode: MatmulMode, dtype: mx.Dtype = mx.float32, vocabulary: int = VOCABULARY) -> FrozenLinear:
    mx.random.seed(4)
    layer = nn.QuantizedLinear.from_linear(nn.Linear(WIDTH, vocabulary, bias=False), 32, 4)
    layer.set_dtype(dtype)
    return FrozenLinear(layer, mode, dtype)


def drawn(dtype: mx.Dtype = mx.float32, count: int = COUNT) -> tuple[mx.array, mx.array]:
    """Return hidden states, and labels of which some are -1."""
    hidden = (mx.random.normal((count, WIDTH), key=mx.random.key(1)) * 3).astype(dtype)
    labels = mx.random.randint(0, VOCABULARY, (count,), key=mx.random.key(2))
    labels[::5] = -1
    mx.eval(hidden, labels)
    return hidden, labels


def exact(layer: FrozenLinear, hidden: mx.array, labels: mx.array) -> tuple[float, np.ndarray]:
    """Return loss and gradient of the hidden states in float64: (softmax - one-hot) W."""
    w = np.array(layer.backward(mx.eye(VOCABULARY).astype(hidden.dtype)).astype(mx.float32), np.float64)
    x, y = np.array(hidden.astype(mx.float32), np.float64), np.array(labels)
    logits = x @ w.T
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = powers / powers.sum(axis=1, keepdims=True)
    counts = y >= 0
    rows = np.flatnonzero(counts)
    loss = -np.log(shares[rows, y[rows]]).sum()
    shares[rows, y[rows]] -= 1
    return float(loss), (shares * counts[:, None]) @ w


@pytest.mark.parametrize("mode", MATMUL_MODES)
def test_loss_and_gradient_are_those_of_float64(chunk: int, mode: MatmulMode) -> None:
    """However many rows a chunk has; a label of -1 gives neither loss nor gradient."""
    layer, (hidden, labels) = head(mode), drawn()
    loss, gradient = mx.value_and_grad(lambda x: chunked_loss(x, labels, layer, True))(hidden)
    expected, slopes = exact(layer, hidden, labels)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert np.abs(np.array(gradient) - slopes).max() <= 1e-5 * np.abs(slopes).max()
    assert not np.array(gradient)[::5].any()


def test_the_gradient_is_what_mlx_finds_for_the_plain_form(chunk: int) -> None:
    """Times the gradient of what comes after: here 2 / 7."""
    layer, (hidden, labels) = head("packed"), drawn()

    def plain(x: mx.array) -> mx.array:
        losses = nn.losses.cross_entropy(layer.forward(x), mx.maximum(labels, 0), reduction="none")
        return (losses * (labels >= 0)).sum() * 2 / 7

    expected = mx.grad(plain)(hidden)
    gradient = mx.grad(lambda x: chunked_loss(x, labels, layer, True) * 2 / 7)(hidden)
    assert float(mx.abs(gradient - expected).max()) <= 1e-5 * float(mx.abs(expected).max())


def test_in_16_bits_the_loss_is_still_summed_in_float32(chunk: int) -> None:
    """Logits are rounded to bfloat16, nothing after them."""
    layer, (hidden, labels) = head("resident", mx.bfloat16), drawn(mx.bfloat16)
    loss, gradient = mx.value_and_grad(lambda x: chunked_loss(x, labels, layer, True))(hidden)
    expected, slopes = exact(layer, hidden, labels)
    assert (loss.dtype, gradient.dtype) == (mx.float32, mx.bfloat16)
    assert float(loss) == pytest.approx(expected, rel=2e-3)
    assert np.abs(np.array(gradient.astype(mx.float32)) - slopes).max() <= 2e-2 * np.abs(slopes).max()


def test_evaluation_has_the_same_loss(chunk: int) -> None:
    """And it can be differentiated all the same."""
    layer, (hidden, labels) = head("packed"), drawn()
    loss, gradient = mx.value_and_grad(lambda x: chunked_loss(x, labels, layer, False))(hidden)
    expected, slopes = exact(layer, hidden, labels)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert np.abs(np.array(gradient) - slopes).max() <= 1e-5 * np.abs(slopes).max()


def peak_of(action: Callable[[], mx.array]) -> int:
    mx.clear_cache()
    before: int = mx.get_active_memory()
    mx.reset_peak_memory()
    mx.eval(action())
    return int(mx.get_peak_memory()) - before


@pytest.mark.parametrize("with_gradient", [True, False])
def test_evaluation_computes_no_gradient(monkeypatch: pytest.MonkeyPatch, with_gradient: bool) -> None:
    """A head whose gradient takes 40 MB shows whether it was computed."""
    layer, (hidden, labels) = head("packed"), drawn()
    mx.eval(layer.parameters())

    def greedy(gradient: mx.array) -> mx.array:
        return gradient @ mx.zeros((VOCABULARY, WIDTH)) + mx.random.normal((10_000_000,)).sum()

    monkeypatch.setattr(layer, "backward", greedy)
    peak = peak_of(lambda: chunked_loss(hidden, labels, layer, with_gradient))
    assert (peak >= 40_000_000) is with_gradient


@pytest.mark.parametrize("mode", MATMUL_MODES)
@pytest.mark.parametrize("with_gradient", [True, False])
def test_the_full_logits_never_exist(
    monkeypatch: pytest.MonkeyPatch, mode: MatmulMode, with_gradient: bool
) -> None:
    """With a vocabulary of 20,000 and chunks of 16 rows, 600 rows take a fraction of their logits."""
    vocabulary, count = 20_000, 600
    monkeypatch.setattr(loss_module, "LOGIT_CHUNK", 16 * vocabulary)
    layer, (hidden, labels) = head(mode, vocabulary=vocabulary), drawn(count=count)
    mx.eval(layer.parameters())

    def action() -> mx.array:
        if with_gradient:
            return mx.grad(lambda x: chunked_loss(x, labels, layer, True))(hidden)
        return chunked_loss(hidden, labels, layer, False)

    assert peak_of(action) < count * vocabulary * 4 * 3 / 4


@pytest.mark.parametrize("kind", ["llama", "gemma2", "granite"])
def test_rows_that_fill_up_change_nothing(chunk: int, kind: str) -> None:
    """The loss of a whole model, its logits in chunks or in full: label -1 is as if it were not there."""
    model = build(kind)
    expected = found(model, plain_loss)[0]
    loss = made_fast(model, "packed")
    *tokens, targets, labels = batch_arrays(whole_batch(some_examples(5)))
    targets, labels = (
        mx.concatenate([array, mx.full(9, value, array.dtype)])
        for array, value in ((targets, 0), (labels, -1))
    )
    assert float(loss(model, *tokens, targets, labels)) == pytest.approx(expected, rel=1e-5)
    assert not holds_all_logits(make_loss(model))
