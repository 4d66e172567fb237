"""The validation loss: the whole set, token by token, whatever the batches."""

from pathlib import Path

from engine.backend import nn
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import micro_batches
from engine.training.events import Evaluated, Finished
from engine.training.progress import MOST_GROUPS
from engine.training.scores import evaluate, make_scores, scored_before
from tests.support.numpy_llama import summed_loss
from tests.support.steps import arrays, some_examples
from tests.support.tiny import CONFIG, RUN, lora_model, tiny_project, train

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = some_examples(9)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """With a dropout that would show if it were on."""
    return lora_model(lora_dropout=0.5)


@pytest.fixture(scope="module")
def losses(model: nn.Module) -> list[tuple[float, int]]:
    """Summed loss in float64 and number of trained tokens of each example."""
    weights = arrays(model)
    return [
        (summed_loss(weights, CONFIG, RUN.lora_scale, e.tokens, e.trained), int(e.trained.sum()))
        for e in EXAMPLES
    ]


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 300), st.integers(24, 120))
def test_validation_does_not_depend_on_its_batches(
    model: nn.Module, losses: list[tuple[float, int]], count: int, rows: int, tokens: int, longest: int
) -> None:
    """From one example to all of them, in batches of any shape: the mean over all trained tokens."""
    model.train()
    batches = micro_batches(
        EXAMPLES[:count], [BatchShape.full(rows, longest, max(23, min(tokens, rows * (longest - 1))))]
    )
    scores = list(evaluate(model, make_scores(model), batches))
    total, number = (sum(column) for column in zip(*losses[:count], strict=True))
    assert [scored.batches for scored in scores] == list(range(1, len(batches) + 1))
    assert scores[-1].mean == pytest.approx(total / number, rel=1e-5)
    by_length = sorted(range(count), key=lambda index: len(EXAMPLES[index].tokens))
    assert scores[-1].groups == pytest.approx([losses[index][0] for index in by_length], rel=1e-5)
    assert scores[-1].rows == count <= MOST_GROUPS
    half = scored_before(scores[len(scores) // 2], batches)
    assert [*evaluate(model, make_scores(model), batches, half)][-1] == scores[-1], "to the bit"
    assert model.training


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_a_run_validates_on_a_set_of_one_example(tmp_path: Path, batch_size: int) -> None:
    """Also where a batch is larger than the set: before the first step and at the end."""
    project = tiny_project(tmp_path, train=4, valid=1)
    events = train(project, RUN.updated({"batch_size": batch_size, "num_epochs": 1, "eval_every": 0}))
    scores = [event.val_loss for event in events if isinstance(event, Evaluated)]
    end = events[-1]
    assert isinstance(end, Finished) and len(scores) == 2 and end.best_val_loss == scores[1]


def test_a_runs_first_score_does_not_depend_on_its_batch_size(tmp_path: Path) -> None:
    """The same set, before the first step, in batches of one and of many."""
    first = []
    for batch_size in (1, 16):
        project = tiny_project(tmp_path / str(batch_size), train=4, valid=7)
        events = train(project, RUN.updated({"batch_size": batch_size, "num_epochs": 1}))
        first.append(next(event.val_loss for event in events if isinstance(event, Evaluated)))
    assert first[0] == pytest.approx(first[1], rel=1e-5)
