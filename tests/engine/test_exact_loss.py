"""Loss and gradient of single examples against a llama in float64 NumPy, and which positions count."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.backend import mx, nn
from engine.dataset.batches.micro_batch import MicroBatch
from engine.dataset.batches.tokenize import Example
from engine.model.padding_free import takes_unpadded
from engine.model.replace_layers import make_fast
from engine.training.loss import batch_arrays, make_loss
from tests.support.batching import whole_batch
from tests.support.chat_forms import byte_tokenizer, conversation, tokenize
from tests.support.numpy_llama import Weights, slope, summed_loss
from tests.support.steps import arrays, some_examples
from tests.support.tiny import CONFIG, RUN, lora_model, write_model

import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.utils import dequantize_model, load_model
from safetensors.numpy import load_file

EXAMPLES = some_examples(6)


def batch_of(*examples: Example) -> MicroBatch:
    return whole_batch(examples, 24)


def loss_and_gradient(model: nn.Module, batch: MicroBatch) -> tuple[float, dict[str, Any]]:
    value, gradient = nn.value_and_grad(model, make_loss(model))(model, *batch_arrays(batch))
    return float(value), {name: np.array(array) for name, array in tree_flatten(gradient)}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_loss_and_gradient_of_an_example_are_those_of_the_reference(number: int) -> None:
    """The loss, and the slope by two entries of each of the 28 adapter matrices."""
    model, example = lora_model(), EXAMPLES[number]
    loss, gradient = loss_and_gradient(model, batch_of(example))
    weights, draw = arrays(model), np.random.default_rng(number)
    arguments = (CONFIG, RUN.lora_scale, example.tokens, example.trained)
    assert loss == pytest.approx(summed_loss(weights, *arguments), rel=1e-6)
    assert len(gradient) == 28
    for name, found in gradient.items():
        size = float(np.abs(found).max())
        largest = np.unravel_index(np.abs(found).argmax(), found.shape)
        drawn = tuple(int(draw.integers(size)) for size in found.shape)
        for entry in (largest, drawn):
            expected = slope(weights, name, entry, *arguments)
            assert float(found[entry]) == pytest.approx(expected, rel=1e-4, abs=1e-4 * size), name


def test_a_batch_is_the_sum_of_its_examples() -> None:
    """Padded to one length, in float64 and one by one."""
    model = lora_model()
    loss, gradient = loss_and_gradient(model, batch_of(*EXAMPLES))
    weights = arrays(model)
    alone = [loss_and_gradient(model, batch_of(example))[1] for example in EXAMPLES]
    expected = sum(summed_loss(weights, CONFIG, RUN.lora_scale, e.tokens, e.trained) for e in EXAMPLES)
    assert loss == pytest.approx(expected, rel=1e-6)
    for name, found in gradient.items():
        total = sum(np.float64(parts[name]) for parts in alone)
        assert np.abs(found - total).max() < 1e-5 * np.abs(total).max(), name


def unpacked(file: dict[str, Any]) -> Weights:
    """Return the weights of a 4-bit model file: eight numbers in a uint32, low bits first, groups of 32."""
    found: Weights = {}
    for name, array in file.items():
        if array.dtype == np.uint32:
            numbers = array[..., None] >> np.arange(0, 32, 4, np.uint32) & 15
            groups = numbers.reshape(len(array), -1, 32).astype(np.float64)
            stem = name.removesuffix(".weight")
            scales, biases = (
                file[f"{stem}.{part}"].astype(np.float64)[..., None] for part in ("scales", "biases")
            )
            found[name] = (groups * scales + biases).reshape(len(array), -1)
        elif not name.endswith((".scales", ".biases")):
            found[name] = array.astype(np.float64)
    return found


@pytest.mark.parametrize("dequantize", [False, True])
def test_a_quantised_model_gives_the_reference_loss_of_its_file(tmp_path: Path, dequantize: bool) -> None:
    """Packed, as on a GPU, and as float32, as on a CPU; read from the file by NumPy alone."""
    folder = write_model(tmp_path / "model", tie_word_embeddings=False)
    model, _config = load_model(folder)
    model = dequantize_model(model) if dequantize else model
    weights = unpacked(load_file(folder / "model.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    for example in EXAMPLES:
        found = float(make_loss(model)(model, *batch_arrays(batch_of(example))))
        expected = summed_loss(weights, config, 0.0, example.tokens, example.trained)
        assert found == pytest.approx(expected, rel=1e-5)


class Scores(nn.Module):  # type: ignore[misc]
    """A model whose logits are its parameter: their gradient shows which positions carry loss."""

    def __init__(self, rows: int, length: int) -> None:
        super().__init__()
        self.logits = mx.random.normal((rows, length, 320), key=mx.random.key(4))

    def __call__(self, tokens: mx.array) -> mx.array:
        return self.logits[:, : tokens.shape[1]]


def test_exactly_the_answer_and_its_end_token_carry_loss(tmp_path: Path) -> None:
    """From the row to the gradient: softmax less one at each position before a trained token, else zero."""
    tokenizer = byte_tokenizer(tmp_path, "llama3")
    rows = [("Olá?", "Sim, é."), ("a", "b"), ("Quanto é 2 + 2?", "4")]
    examples = [tokenize(tokenizer, conversation(("user", q), ("assistant", a))) for q, a in rows]
    batch = whole_batch(examples)
    model = Scores(*batch.slots.shape)
    _loss, gradient = loss_and_gradient(model, batch)
    scores = np.array(model.logits, np.float64)
    softmax = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = np.zeros_like(scores)
    for row, example in enumerate(sorted(examples, key=lambda example: len(example.tokens))):
        tokens = example.tokens.tolist()
        end = max(i for i, token in enumerate(tokens) if token == tokenizer.eos_token_id)
        answer = next(a for q, a in rows if tokenizer.decode(tokens[:end]).endswith(f"\n\n{a}"))
        for position in range(end - len(answer.encode()), end + 1):
            expected[row, position - 1] = softmax[row, position - 1]
            expected[row, position - 1, tokens[position]] -= 1
    assert np.abs(gradient["logits"] - expected).max() < 1e-6
    assert not gradient["logits"][expected == 0].any()


@pytest.mark.parametrize("is_fast", [False, True])
@pytest.mark.parametrize("token", [1, 77, 319])
def test_padding_changes_no_bit_of_the_gradient(token: int, is_fast: bool) -> None:
    """Whatever stands in it, in padded rows and without."""
    model, batch = lora_model(), whole_batch(EXAMPLES, free=9)
    if is_fast:
        model.eval()
        make_fast(model, {}, mx.float32)
    assert takes_unpadded(model) == is_fast and batch.padding > 9
    tokens = batch.tokens.copy()
    tokens[-batch.padding :] = token
    loss, gradient = loss_and_gradient(model, batch)
    other, same = loss_and_gradient(model, replace(batch, tokens=tokens))
    assert not np.array_equal(tokens, batch.tokens) and loss == other
    assert all(np.array_equal(gradient[name], same[name]) for name in gradient)


def test_what_is_cut_off_leaves_no_trace() -> None:
    """Two examples that differ beyond the cut make the same batch; one token less makes another."""
    draw = np.random.default_rng(2)
    tokens = draw.integers(0, 300, 40).astype(np.int32)
    changed = np.concatenate([tokens[:20], (tokens[20:] + 1) % 300])
    trained = np.arange(40) >= 10
    one, two = (Example(1, ids.astype(np.int32), trained, True).cut(20) for ids in (tokens, changed))
    first, second, shorter = (batch_of(example) for example in (one, two, one.cut(19)))
    for name in ("tokens", "targets", "labels"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert len(first.labels) == 10 and len(shorter.labels) == 9
    assert loss_and_gradient(lora_model(), first)[0] != loss_and_gradient(lora_model(), shorter)[0]
