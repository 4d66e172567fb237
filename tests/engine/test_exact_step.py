"""One optimizer step whatever its micro-batches, and every example once an epoch."""

from pathlib import Path
from typing import Any

from engine.backend import nn
from engine.dataset.batches.bucket_plan import Limits, plan_shapes
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import MicroBatch, epoch_steps, micro_batches
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.inspect.load import load_file
from engine.model_folder.tokenizer import load_tokenizer
from engine.project import Project
from engine.training.events import Evaluated, Started
from engine.training.loss import make_loss
from engine.training.step import StepFunction, StepResult
from tests.support.batching import whole_batch
from tests.support.numpy_llama import summed_loss
from tests.support.steps import GivesTheGradient, arrays, mlx_lm_loss, some_examples
from tests.support.tiny import CONFIG, RUN, lora_model, metrics_rows, tiny_project, train

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import load_model
from numpy.typing import NDArray
from safetensors.numpy import load_file as read_arrays

EXAMPLES = some_examples(7)


def mean_gradient(model: nn.Module, batches: list[MicroBatch]) -> tuple[StepResult, dict[str, Any]]:
    kept = model.trainable_parameters()
    result = StepFunction(model, GivesTheGradient(), make_loss(model), 0.0)(batches, 0.0)
    gradient = {name: np.array(array) for name, array in tree_flatten(model.trainable_parameters())}
    model.update(kept)
    return result, gradient


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return lora_model()


@pytest.fixture(scope="module")
def whole(model: nn.Module) -> tuple[StepResult, dict[str, Any]]:
    """All examples at once."""
    return mean_gradient(model, [whole_batch(EXAMPLES)])


@st.composite
def splits(draw: st.DrawFn) -> list[MicroBatch]:
    """The examples in any order, in parts of any size, each cut into micro-batches of any size."""
    order = draw(st.permutations(EXAMPLES))
    batches: list[MicroBatch] = []
    while order:
        size = draw(st.integers(1, len(order)))
        rows, length = draw(st.integers(1, 7)), draw(st.integers(24, 90))
        shape = BatchShape.full(rows, length, draw(st.integers(23, rows * (length - 1))))
        batches += micro_batches(order[:size], [shape])
        order = order[size:]
    return batches


@settings(max_examples=15)
@given(splits())
def test_a_step_is_the_same_whatever_its_micro_batches(
    model: nn.Module, whole: tuple[StepResult, dict[str, Any]], batches: list[MicroBatch]
) -> None:
    """Loss, norm and gradient to float32's rounding; tokens are counted without padding."""
    result, gradient = mean_gradient(model, batches)
    expected, reference = whole
    assert result.loss == pytest.approx(expected.loss, rel=1e-5)
    assert result.grad_norm == pytest.approx(expected.grad_norm, rel=1e-5)
    assert result.real_tokens == expected.real_tokens == sum(len(example.tokens) for example in EXAMPLES)
    for name, array in gradient.items():
        assert np.abs(array - reference[name]).max() <= 2e-5 * np.abs(reference[name]).max(), name


def test_the_loss_of_a_step_is_the_mean_over_its_trained_tokens(
    model: nn.Module, whole: tuple[StepResult, dict[str, Any]]
) -> None:
    """Not the mean over examples or micro-batches: against float64, token by token."""
    weights = arrays(model)
    total = sum(summed_loss(weights, CONFIG, RUN.lora_scale, e.tokens, e.trained) for e in EXAMPLES)
    count = sum(int(example.trained.sum()) for example in EXAMPLES)
    assert whole[0].loss == pytest.approx(total / count, rel=1e-6)


def as_examples(lengths: list[int]) -> list[Example]:
    return [
        Example(line, np.full(length, line + 1, np.int32), np.arange(length) > 0, True)
        for line, length in enumerate(lengths)
    ]


@settings(max_examples=60)
@given(
    st.lists(st.integers(2, 80), min_size=1, max_size=120),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.integers(0, 1000),
)
def test_an_epoch_passes_every_example_through_the_model_once(
    lengths: list[int], batch_size: int, accumulation: int, seed: int, epoch: int
) -> None:
    """From the data to the micro-batches: no row lost, none twice, memory and shapes kept within bounds."""
    examples, longest = as_examples(lengths), max(lengths)
    budget, per_step = batch_size * longest, batch_size * accumulation
    planned = plan_shapes(examples, [], per_step, seed, Limits(budget, 4))
    seen: list[int] = []
    shapes: set[BatchShape] = set()
    for step in epoch_steps(lengths, per_step, seed, epoch):
        for batch in micro_batches([examples[i] for i in step], planned):
            assert batch.shape.area <= budget
            shapes.add(batch.shape)
            seen += [token for token in batch.tokens[batch.slots[:, 0]].tolist() if token]
    assert sorted(seen) == list(range(1, len(lengths) + 1))
    assert len(shapes) <= 16


def first_losses(root: Path, batch_size: int, accumulation: int) -> tuple[list[float], NDArray[Any]]:
    """Train one epoch of 3 steps, the last of them with a single example; return losses and a weight."""
    project = tiny_project(root, train=9, valid=1)
    values = {"batch_size": batch_size, "gradient_accumulation": accumulation, "num_epochs": 1}
    events = train(project, RUN.updated({**values, "warmup_ratio": 0, "lr_schedule": "constant"}))
    (started,) = [event for event in events if isinstance(event, Started)]
    assert (started.total_steps, started.steps_per_epoch, started.valid_examples) == (3, 3, 1)
    assert sum(isinstance(event, Evaluated) for event in events) == 2
    return [row["loss"] for row in metrics_rows(project)], adapter(project)


def adapter(project: Project) -> NDArray[Any]:
    weights = read_arrays(project.adapters_dir / "adapters.safetensors")
    return np.concatenate([weights[name].ravel() for name in sorted(weights)])


def test_accumulation_and_batch_size_make_the_same_run(tmp_path: Path) -> None:
    """4 x 1, 2 x 2 and 1 x 4: losses and adapters agree, the last short step included."""
    runs = [first_losses(tmp_path / str(size), size, 4 // size) for size in (4, 2, 1)]
    for losses, weights in runs[1:]:
        assert losses == pytest.approx(runs[0][0], rel=1e-4)
        # AdamW's first updates follow the gradient's sign, which rounding decides where it is nearly zero.
        assert np.mean(np.abs(weights - runs[0][1]) > 1e-3) < 0.01
    assert len(runs[0][0]) == 3


def test_the_last_short_step_counts_like_any_other(tmp_path: Path) -> None:
    """The lone example's mean gradient, by mlx-lm on the saved adapter, moves AdamW's mean in full."""
    project = tiny_project(tmp_path, train=5, valid=1)
    config = RUN.updated({"num_epochs": 1, "save_every": 1, "eval_every": 0, "keep_checkpoints": 9})
    train(project, config.updated({"max_grad_norm": 0}))
    before, after = (project.run_dir / f"checkpoint_epoch0_step{step}" for step in (1, 2))
    folder = project.models_dir / "tiny"
    data = load_file(project.train_file, ExampleTokenizer(load_tokenizer(folder), config), config).examples
    (left,) = epoch_steps([len(example.tokens) for example in data], 4, config.seed, 0)[1]
    model, _config = load_model(folder)
    load_adapters(model, str(before))
    loss, gradient = mlx_lm_loss(model, data[left])
    row = metrics_rows(project)[1]
    assert row["tokens"] == len(data[left].tokens)
    assert row["loss"] == pytest.approx(loss, rel=1e-4)
    moments = [read_arrays(str(saved / "optimizer.safetensors")) for saved in (before, after)]
    names = [name.removesuffix(".m") for name in moments[0] if name.endswith(".m")]
    assert len(names) == 28
    for name in names:
        first, second = (found[f"{name}.m"] for found in moments)
        difference = np.abs((second - 0.9 * first) / 0.1 - gradient[name]).max()
        assert difference <= 1e-3 * np.abs(gradient[name]).max(), name
