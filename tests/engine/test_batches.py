"""The order of an epoch and the padding of its micro-batches, against plain loops."""

from engine.dataset.batches.bucket_plan import Limits, plan_shapes
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import NO_LABEL, epoch_steps, filled, micro_batches
from engine.dataset.batches.tokenize import Example

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

_steps = st.tuples(
    st.integers(1, 400), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1), st.integers(0, 50)
)


def some_lengths(count: int, seed: int) -> list[int]:
    return [int(length) for length in np.random.default_rng(seed).integers(2, 300, count)]


@st.composite
def example_lists(draw: st.DrawFn) -> list[Example]:
    """Examples of 2 to 60 tokens, each with at least one trained token after the first."""
    examples = []
    for line in range(draw(st.integers(1, 12))):
        length = draw(st.integers(2, 60))
        drawn = draw(st.lists(st.booleans(), min_size=length - 1, max_size=length - 1))
        trained = np.array([False, *drawn])
        trained[draw(st.integers(1, length - 1))] = True
        examples.append(Example(line, np.arange(length, dtype=np.int32) + 100 * (line + 1), trained, True))
    return examples


@settings(max_examples=80)
@given(_steps)
def test_an_epoch_shows_every_example_once(values: tuple[int, int, int, int, int]) -> None:
    """Whole steps, then one with what remains."""
    count, batch, accumulation, seed, epoch = values
    size = batch * accumulation
    steps = epoch_steps(some_lengths(count, seed % 99), size, seed, epoch)
    assert sorted(int(i) for step in steps for i in step) == list(range(count))
    assert [len(step) for step in steps] == [size] * (count // size) + [count % size] * (count % size > 0)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    """The same place is found again; another seed or epoch gives another order."""
    lengths = some_lengths(100, 0)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(i) for step in epoch_steps(lengths, 4, seed, epoch) for i in step]

    np.random.seed(1)
    expected = order(3, 2)
    np.random.seed(2)
    assert order(3, 2) == expected
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_lengths_are_grouped_and_the_steps_shuffled() -> None:
    """Steps hold similar lengths, and their order does not follow length."""
    lengths = some_lengths(640, 1)
    steps = epoch_steps(lengths, 4, 0, 0)
    spread = np.mean([np.ptp([lengths[i] for i in step]) for step in steps])
    assert spread < 0.2 * np.mean([np.ptp(np.array(lengths[i : i + 4])) for i in range(0, 640, 4)])
    means = [np.mean([lengths[i] for i in step]) for step in steps]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.25


def brute_force(rows: list[Example]) -> list[tuple[int, int, int]]:
    """(row, position of the input token, token to predict) of every trained token."""
    return [
        (index, position - 1, int(row.tokens[position]))
        for index, row in enumerate(rows)
        for position in range(len(row.tokens))
        if row.trained[position]
    ]


@settings(max_examples=80)
@given(example_lists(), st.integers(1, 400), st.integers(1, 8))
def test_micro_batches_hold_every_trained_token_and_keep_the_budget(
    examples: list[Example], max_tokens: int, max_rows: int
) -> None:
    """Against a loop over rows and positions."""
    shapes = plan_shapes(examples, [], len(examples), 0, Limits(max_tokens, max_rows))
    seen = []
    for batch in micro_batches(examples, shapes):
        rows, length = batch.slots.shape
        assert batch.shape in shapes and rows <= max_rows and length == batch.shape.length
        assert rows == 1 or rows * length <= max_tokens
        assert (len(batch.tokens), len(batch.targets)) == (batch.shape.tokens, batch.shape.targets)
        padded, last = batch.tokens[batch.slots], len(batch.tokens) - 1
        members = [examples[int(tokens[0]) // 100 - 1] for tokens in padded if tokens[0]]
        for index, row in enumerate(members):
            count = len(row.tokens) - 1
            assert padded[index, :count].tolist() == row.tokens[:-1].tolist()
            if not batch.shape.is_padded:
                assert set(batch.slots[index, count:].tolist()) == {last}
        if not batch.shape.is_padded:
            assert set(batch.slots[len(members) :].ravel().tolist()) <= {last}
        found = [
            (*divmod(int(batch.places[target]), length), label)
            for target, label in zip(batch.targets.tolist(), batch.labels.tolist(), strict=True)
        ]
        expected = brute_force(members)
        assert found[: len(expected)] == expected
        assert set(batch.labels[len(expected) :].tolist()) <= {NO_LABEL}
        assert batch.trained_tokens == len(expected)
        assert batch.real_tokens == sum(len(row.tokens) for row in members)
        assert batch.padding == np.count_nonzero(batch.tokens == 0) >= 1
        seen += [row.line for row in members]
    assert sorted(seen) == [row.line for row in examples]


@settings(max_examples=80)
@given(example_lists(), st.integers(1, 400))
def test_places_and_slots_undo_each_other(examples: list[Example], max_tokens: int) -> None:
    """Each token has a position of its own; padding has free ones, which point to padding.

    Where the padded rows are computed, padding too has positions of its own.
    """
    for batch in micro_batches(examples, plan_shapes(examples, [], 4, 0, Limits(max_tokens, 8))):
        if batch.shape.is_padded:
            assert (batch.slots.ravel() == batch.places).all()
            assert batch.places.tolist() == list(range(len(batch.tokens)))
            continue
        real = len(batch.tokens) - batch.padding
        assert batch.slots.ravel()[batch.places[:real]].tolist() == list(range(real))
        assert set(batch.slots.ravel()[batch.places[real:]].tolist()) == {len(batch.tokens) - 1}


@pytest.mark.parametrize(
    ("shape", "padding"),
    [
        (BatchShape(3, 16, 20, 30), 1),
        (BatchShape(1, 8, 7, 8), 1),
        (BatchShape(4, 16, 5, 61), 1),
        (BatchShape(4, 16, 5, 64), 4),
    ],
)
def test_a_filled_micro_batch_has_its_shape(shape: BatchShape, padding: int) -> None:
    """With all the tokens and targets that the shape holds."""
    batch = filled(shape)
    assert batch.shape == shape and batch.padding == padding and batch.trained_tokens == shape.targets
    assert batch.slots.shape == (shape.rows, shape.length) and (batch.labels == 1).all()


def test_an_example_that_no_shape_holds_is_an_error() -> None:
    """Nothing is cut off or left out in silence."""
    example = Example(0, np.arange(9, dtype=np.int32), np.arange(9) > 3, True)
    for shape in (BatchShape.full(1, 8, 7), BatchShape.full(1, 9, 4)):
        with pytest.raises(ValueError, match="no shape holds a row of length 9"):
            micro_batches([example], [shape])
    (batch,) = micro_batches([example], [BatchShape.full(1, 9, 5)])
    assert batch.labels.tolist() == [4, 5, 6, 7, 8]
