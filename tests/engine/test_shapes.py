"""The few shapes of a run's micro-batches: few enough, wide enough, and the cheapest."""

from collections import Counter
from itertools import combinations, pairwise
from math import inf

from engine.dataset.batches import epoch_steps, micro_batches
from engine.dataset.choosing import Pair, choose
from engine.dataset.cutting import Shape, cut, pass_cost
from engine.dataset.shapes import padded, plan_shapes
from engine.dataset.tokenizing import Example

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def examples_of(lengths: list[int], seed: int = 0) -> list[Example]:
    """Examples of these lengths, of which a random part at the end carries loss; token = line."""
    draw = np.random.default_rng(seed)
    return [
        Example(line, np.full(n, line + 1, np.int32), np.arange(n) >= draw.integers(1, n), True)
        for line, n in enumerate(lengths)
    ]


runs = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(2, 300), min_size=1, max_size=150),
        "valid": st.lists(st.integers(2, 400), max_size=20),
        "per_step": st.integers(1, 12),
        "seed": st.integers(0, 2**32 - 1),
        "max_tokens": st.integers(1, 2000),
        "max_rows": st.sampled_from([1, 3, 4, 2000]),
        "tile": st.sampled_from([1, 16, 128]),
    }
)


@settings(max_examples=60, deadline=None)
@given(runs)
def test_three_epochs_and_the_validation_need_only_the_planned_shapes(run: dict) -> None:
    """At most 16, within the budget; every example once an epoch, whatever the order."""
    examples, valid = examples_of(run["lengths"], run["seed"]), examples_of(run["valid"], 1)
    shapes = plan_shapes(
        examples, valid, run["per_step"], run["seed"], run["max_tokens"], run["max_rows"], run["tile"]
    )
    assert len(set(shapes)) == len(shapes) <= 16
    for shape in shapes:
        assert shape.rows <= run["max_rows"]
        assert shape.tokens <= run["max_tokens"] or shape.rows == 1
        assert 1 <= shape.targets <= shape.rows * (shape.length - 1)
    for epoch in range(3):
        steps = epoch_steps(run["lengths"], run["per_step"], run["seed"], epoch)
        batches = [b for step in steps for b in micro_batches([examples[i] for i in step], shapes)]
        assert {batch.shape for batch in batches} <= set(shapes)
        assert tokens_of(batches) == Counter(dict(enumerate(run["lengths"], start=1)))
        assert sum(b.trained_tokens for b in batches) == sum(int(e.trained.sum()) for e in examples)
    batches = micro_batches(valid, shapes)
    assert {batch.shape for batch in batches} <= set(shapes)
    assert tokens_of(batches) == Counter(dict(enumerate(run["valid"], start=1)))


def tokens_of(batches: list) -> Counter[int]:
    """How often each token occurs in all of them; 0 is padding."""
    counts = sum((Counter(batch.tokens.ravel().tolist()) for batch in batches), Counter())
    return Counter({token: times for token, times in counts.items() if token})


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 60), st.integers(1, 59)), min_size=1, max_size=7),
    st.lists(st.tuples(st.integers(1, 4), st.integers(2, 60), st.integers(1, 100)), max_size=5),
    st.integers(1, 50),
)
def test_rows_are_cut_as_cheaply_as_can_be(
    sizes: list[Pair], others: list[tuple[int, int, int]], extra: int
) -> None:
    """Against every way of cutting the rows, each piece in the cheapest shape that holds it."""
    lengths = sorted(length for length, _count in sizes)
    trained = [min(count, length - 1) for length, (_other, count) in zip(lengths, sizes, strict=True)]
    shapes = [Shape(*other) for other in others] + [Shape(1, 60, 59)]

    def cheapest(begin: int, end: int) -> float:
        fitting = [
            shape.tokens + extra
            for shape in shapes
            if end - begin <= shape.rows
            and lengths[end - 1] <= shape.length
            and sum(trained[begin:end]) <= shape.targets
        ]
        return min(fitting, default=inf)

    def of_borders(borders: tuple[int, ...]) -> float:
        edges = (0, *borders, len(lengths))
        return sum(cheapest(a, b) for a, b in pairwise(edges))

    inner = range(1, len(lengths))
    best = min(of_borders(borders) for n in range(len(lengths)) for borders in combinations(inner, n))
    pieces = cut(lengths, trained, lambda longest: [s for s in shapes if s.length >= longest], extra)
    assert sum(piece.shape.tokens + extra for piece in pieces) == best
    assert [i for piece in pieces for i in range(piece.begin, piece.end)] == list(range(len(lengths)))


def cost(wanted: Counter[Pair], chosen: tuple[Pair, ...], extra: int) -> float:
    """What the wanted micro-batches cost, each in passes of the cheapest chosen pair."""

    def of(n: int, length: int) -> float:
        fitting = [-(-n // rows) * (rows * width + extra) for rows, width in chosen if width >= length]
        return min(fitting, default=inf)

    return sum(times * of(*pair) for pair, times in wanted.items())


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(1, 3), st.integers(1, 10).map(lambda n: 8 * n)),
        st.integers(20, 400),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 4),
)
def test_no_exchange_of_one_shape_would_save_anything(wanted: dict[Pair, int], limit: int) -> None:
    """And all combinations together hold none that is a tenth cheaper."""
    wanted = Counter(wanted)
    longest = max(length for _rows, length in wanted)
    chosen = choose(wanted, longest, max_tokens=160, full=160, limit=limit)
    extra = pass_cost(160)
    lengths = {length for _rows, length in wanted}
    allowed = [
        (n, width) for n in (1, *{n for n, _l in wanted}) for width in lengths if n == 1 or n * width <= 160
    ]
    assert 1 <= len(chosen) <= limit and set(chosen) <= set(allowed)
    paid = cost(wanted, tuple(chosen), extra)
    for place in range(len(chosen)):
        for other in allowed:
            assert cost(wanted, (*chosen[:place], *chosen[place + 1 :], other), extra) >= paid
    best = min(cost(wanted, some, extra) for some in combinations(sorted(set(allowed)), len(chosen)))
    assert best <= paid <= 1.1 * best


def waste(examples: list[Example], shapes: tuple[Shape, ...], per_step: int) -> float:
    """Padding per real token over an epoch."""
    steps = epoch_steps([len(e.tokens) for e in examples], per_step, 0, 1)
    batches = [batch for step in steps for batch in micro_batches([examples[i] for i in step], shapes)]
    return sum(b.tokens.size for b in batches) / sum(b.real_tokens for b in batches) - 1


@pytest.mark.parametrize(
    ("low", "high", "per_step", "budget", "most"),
    [(900, 1024, 8, 8192, 0.02), (40, 100, 32, 3200, 0.08), (46, 84, 4, 336, 0.06)],
)
def test_little_is_padding(low: int, high: int, per_step: int, budget: int, most: float) -> None:
    """In a later epoch than the one that was planned with; whole steps in one pass each."""
    examples = examples_of(np.random.default_rng(0).integers(low, high + 1, 3200).tolist())
    assert waste(examples, plan_shapes(examples, [], per_step, 0, budget, budget), per_step) < most


def test_rows_of_very_different_lengths_are_not_padded_to_the_longest() -> None:
    """One long row among short ones goes alone."""
    examples = examples_of(([1000] + [40] * 7) * 40)
    shapes = plan_shapes(examples, [], 8, 0, 8000, 8000)
    assert waste(examples, shapes, 8) < 0.2


def test_a_later_epoch_may_have_more_targets_than_the_first() -> None:
    """The rows are then cut in more pieces; nothing is lost."""
    examples = examples_of([20] * 8)
    few = Shape(4, 20, max(int(example.trained.sum()) for example in examples))
    batches = micro_batches(examples, [few])
    assert len(batches) > 2 and {batch.shape for batch in batches} == {few}
    assert sum(b.trained_tokens for b in batches) == sum(int(e.trained.sum()) for e in examples)


def test_many_examples_are_planned_from_the_first_of_an_epoch() -> None:
    """A length that only a later step has is held all the same, with all its targets."""
    lengths = [30] * 40_000
    examples = examples_of(lengths)
    last = epoch_steps(lengths, 4, 0, 0)[-1][-1]
    examples[last] = Example(int(last), np.ones(500, np.int32), np.arange(500) > 0, True)
    shapes = plan_shapes(examples, [], 4, 0, 120, 4)
    (batch,) = micro_batches([examples[last]], shapes)
    assert batch.tokens.shape == (1, 500) and batch.trained_tokens == 499


def test_the_same_data_give_the_same_shapes() -> None:
    """A resumed run must round like the first sitting."""
    lengths = np.random.default_rng(3).lognormal(4, 1, 500).astype(int).clip(2, 900).tolist()
    plans = {plan_shapes(examples_of(lengths), examples_of([50]), 8, 1, 1800, 8) for _again in range(2)}
    assert len(plans) == 1


@pytest.mark.parametrize(
    ("tokens", "length"),
    [
        (1024, 1025),
        (1025, 1025),
        (903, 1025),
        (897, 897),
        (456, 513),
        (386, 389),
        (251, 257),
        (71, 73),
        (123, 129),
    ],
)
def test_rows_fill_the_tiles_of_attention_where_that_is_cheap(tokens: int, length: int) -> None:
    """One position less than the length is computed: whole tiles of 128, unless too much is padding."""
    assert padded(tokens, 128) == length


def test_a_full_micro_batch_of_whole_tiles_is_within_the_budget() -> None:
    """Eight rows of up to 1,024 tokens go through the model at once, as 8 x 1,024 positions."""
    examples = examples_of([900 + i % 125 for i in range(80)])
    shapes = plan_shapes(examples, [], 8, 0, 8 * 1025, 10_000, 128)
    assert {(shape.rows, shape.length) for shape in shapes} == {(8, 1025)}
