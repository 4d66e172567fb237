"""How much of a difference between validations is chance, against what NumPy finds by drawing again."""

from engine.analysis.noise import Difference, difference, enough_step, t_quantile
from engine.learning_rate import usual_rate
from engine.training.validation_rows import RowLosses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

DRAWS = 4000


def drawn(seed: int, rows: int, shift: float, spread: float) -> tuple[RowLosses, RowLosses]:
    """Two validations of the same rows, whose difficulty differs far more than they do."""
    draw = np.random.default_rng(seed)
    tokens = draw.integers(3, 60, rows)
    first = tokens * (2 + draw.standard_normal(rows))
    second = first + tokens * (shift + spread * draw.standard_normal(rows))
    lengths = tuple(tokens.tolist())
    return RowLosses(10, lengths, tuple(second.tolist())), RowLosses(20, lengths, tuple(first.tolist()))


def numbers(one: RowLosses, other: RowLosses) -> tuple[np.ndarray, np.ndarray]:
    return np.array(one.losses) - np.array(other.losses), np.array(one.tokens, np.float64)


@pytest.mark.parametrize("rows", [12, 95, 256])
def test_the_standard_error_is_that_of_rows_drawn_again(rows: int) -> None:
    """A paired bootstrap over rows: the spread of the mean per token, its interval within a tenth."""
    one, other = drawn(rows, rows, 0.1, 0.3)
    found = difference(one, other)
    apart, tokens = numbers(one, other)
    picks = np.random.default_rng(1).integers(0, rows, (DRAWS, rows))
    means = apart[picks].sum(axis=1) / tokens[picks].sum(axis=1)
    assert found is not None
    assert found.mean == pytest.approx(apart.sum() / tokens.sum())
    assert found.error == pytest.approx(means.std(), rel=0.1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 200), st.floats(0, 1), st.floats(0.01, 1))
def test_the_standard_error_is_that_of_rows_left_out(
    seed: int, rows: int, shift: float, spread: float
) -> None:
    """The jackknife: each row left out once. It differs in the second order only."""
    one, other = drawn(seed, rows, shift, spread)
    found = difference(one, other)
    apart, tokens = numbers(one, other)
    means = (apart.sum() - apart) / (tokens.sum() - tokens)
    jackknife = np.sqrt((rows - 1) / rows * np.square(means - means.mean()).sum())
    assert found is not None and found.error == pytest.approx(jackknife, rel=0.12)


def test_an_interval_has_no_difference_in_it_as_often_as_it_says() -> None:
    """Of 600 pairs without a difference about 95 % are called chance."""
    found = [difference(*drawn(seed, 20, 0.0, 0.3)) for seed in range(600)]
    share = np.mean([each is not None and each.is_chance for each in found])
    assert 0.92 < share < 0.98


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(4, 2.7764), (5, 2.5706), (10, 2.2281), (30, 2.0423), (100, 1.9840)]
)
def test_the_quantiles_are_those_of_the_tables(freedom: int, quantile: float) -> None:
    """Student's t, 97.5 %, as any table of statistics has it."""
    assert t_quantile(freedom) == pytest.approx(quantile, rel=3e-3)


def test_other_rows_or_too_few_cannot_be_compared() -> None:
    """No difference is better than one of rows that have nothing to do with each other."""
    one, other = drawn(1, 9, 0.1, 0.1)
    assert difference(one, None) is None and difference(None, other) is None
    assert difference(one, RowLosses(20, (*other.tokens[:-1], 99), other.losses)) is None
    assert difference(*drawn(1, 4, 0.1, 0.1)) is None
    assert difference(RowLosses(1, (0,) * 9, (0.0,) * 9), RowLosses(2, (0,) * 9, (0.0,) * 9)) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(5, 60), st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_earliest_step_within_one_standard_error_is_found(
    seed: int, rows: int, shifts: list[float]
) -> None:
    """Against the rule written out: no earlier one lies within it, and this one does."""
    draw = np.random.default_rng(seed)
    tokens = draw.integers(3, 60, rows)
    base = tokens * (2 + draw.standard_normal(rows))
    found = {
        step: RowLosses(step, tuple(tokens.tolist()), tuple((base + tokens * (shift + noise)).tolist()))
        for step, (shift, noise) in enumerate(
            zip(shifts, 0.3 * draw.standard_normal((len(shifts), rows)), strict=True), 1
        )
    }
    best = min(found, key=lambda step: sum(found[step].losses))
    within = []
    for step, row in found.items():
        apart, counts = numbers(row, found[best])
        mean = apart.sum() / counts.sum()
        rest = apart - mean * counts
        error = np.sqrt(rows / (rows - 1) * (rest**2).sum()) / counts.sum()
        if mean <= error + 1e-12 and step <= best:
            within.append(step)
    assert enough_step(found, found, best) == min(within)


def test_without_rows_nothing_is_known_of_noise() -> None:
    """As of a run by a version that kept none."""
    assert enough_step({}, [10, 20], 20) is None
    assert not Difference(0.2, 0.05, 0.1).is_chance and Difference(-0.05, 0.05, 0.1).is_chance


@pytest.mark.parametrize(
    ("hidden", "steps", "family", "expected"),
    [
        (2000, 1000, "llama", 5e-4),  # the constants of the source
        (2000, 100, "llama", 7.5e-4),
        (4096, 1000, "llama", 5e-4 * (2000 / 4096) ** 0.781),
        (4096, 1000, "qwen3", 5e-4 * (2000 / 4096) ** 0.0775),
        (576, 1000, "llama", 5e-4 * (2000 / 576) ** 0.781),
    ],
)
def test_the_rule_of_thumb_is_that_of_its_source(
    hidden: int, steps: int, family: str, expected: float
) -> None:
    """Narrower models and short runs take a higher rate."""
    assert usual_rate(hidden, steps, family) == pytest.approx(expected)
    assert usual_rate(64, steps, family) is None
