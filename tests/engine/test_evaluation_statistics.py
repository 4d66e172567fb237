"""Intervals against brute force, and the measures of answers against what SQuAD's rules give by hand."""

from itertools import product
from statistics import NormalDist

from engine.evaluation.answer_metrics import (
    TrainedAnswers,
    contains,
    figures,
    is_exact,
    loops,
    repeated_share,
    token_f1,
)
from engine.evaluation.results import AskedRow, ScoredAnswer
from engine.evaluation.statistics import RESAMPLINGS, percentiles, resample

import numpy as np
import pytest

TOTALS = np.array([[9.0, 2.0, 4.0], [3.0, 1.0, 5.0]])
TOKENS = np.array([3, 1, 4])


def every_mean() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The means of all 27 ways to draw three rows out of three, shape (2, 27)."""
    ways = [list(way) for way in product(range(3), repeat=3)]
    return np.array([[sum(row[way]) / sum(TOKENS[way]) for way in ways] for row in TOTALS])


def test_an_interval_is_that_of_all_ways_to_draw_the_rows() -> None:
    """Of three rows each end is reached by drawing one row three times: 1 in 27, more than 2.5 %."""
    found, every = resample(TOTALS, TOKENS), every_mean()
    assert found.drawn.shape == (2, RESAMPLINGS)
    for model in range(2):
        loss = found.loss(model)
        assert loss.value == pytest.approx(TOTALS[model].sum() / 8)
        assert (loss.low, loss.high) == pytest.approx((every[model].min(), every[model].max()))
        assert found.drawn[model].mean() == pytest.approx(every[model].mean(), abs=0.02)
        assert found.drawn[model].std() == pytest.approx(every[model].std(), rel=0.05)
        assert found.perplexity(model).value == pytest.approx(np.exp(loss.value))
        assert found.perplexity(model).high == pytest.approx(np.exp(every[model].max()))


def test_a_change_is_taken_on_the_same_draws() -> None:
    """Rows are paired: the interval of the change is that of the change, far narrower than two apart."""
    found, every = resample(TOTALS, TOKENS), every_mean()
    change, changes = found.change(1), every[1] - every[0]
    assert change.loss.value == pytest.approx((9 - 15) / 8)
    assert (change.loss.low, change.loss.high) == pytest.approx((changes.min(), changes.max()))
    assert (change.better, change.rows) == (2, 3) and not change.is_certain
    shifted = resample(np.stack([TOTALS[0], TOTALS[0] - 0.5 * TOKENS]), TOKENS).change(1)
    assert shifted.loss.low == pytest.approx(shifted.loss.high) and shifted.is_certain
    assert shifted.loss.value == pytest.approx(-0.5) and shifted.better == 3


@pytest.mark.parametrize("rows", [5, 12, 60])
def test_intervals_are_the_same_each_time_and_hold_what_they_promise(rows: int) -> None:
    """Of 300 samples of a known mean about 95 % have it in their interval, hardly fewer of few rows."""
    assert np.array_equal(resample(TOTALS, TOKENS).drawn, resample(TOTALS, TOKENS).drawn)
    draw, held = np.random.default_rng(3), 0
    for _sample in range(300):
        tokens = draw.integers(5, 40, rows)
        loss = resample((tokens * draw.gamma(4.0, 0.5, rows))[None], tokens).loss(0)
        assert loss.low is not None and loss.high is not None
        held += loss.low <= 2.0 <= loss.high
    assert 0.89 <= held / 300 <= 0.99


@pytest.mark.parametrize(
    ("rows", "quantile"), [(2, 12.706), (3, 4.303), (5, 2.776), (95, 1.9855), (5000, 1.9604)]
)
def test_percentiles_are_those_of_students_t(rows: int, quantile: float) -> None:
    """Quantiles as printed in tables, and the standard library's normal distribution."""
    low, high = percentiles(rows)
    assert low == pytest.approx(100 * NormalDist().cdf(-quantile * (rows / (rows - 1)) ** 0.5), rel=0.03)
    assert low + high == pytest.approx(100)


def test_one_row_has_no_interval_and_a_huge_loss_a_perplexity() -> None:
    """Nothing is made up where nothing is known."""
    alone = resample(np.array([[4000.0]]), np.array([2])).loss(0)
    assert alone.value == 2000 and alone.low is None and alone.high is None
    assert resample(np.array([[4000.0, 4000.0]]), np.array([2, 2])).perplexity(0).value == 1e300


@pytest.mark.parametrize(
    ("answer", "reference", "exact", "f1", "inside"),
    [
        ("The cat, it sat.", "cat it sat", True, 1.0, True),
        ("São 102", "São 102.", True, 1.0, True),
        ("Lisbon is the capital", "Lisbon", False, 0.5, True),  # 1 of 3 words, and of 1: 2 / (3 + 1)
        ("a b b c", "b b d", False, 2 * 2 / (3 + 3), False),  # "a" is an article
        ("Lisboas", "Lisboa", False, 0.0, False),
        ("", "x", False, 0.0, False),
        ("...", "the", True, 1.0, True),
    ],
)
def test_answers_are_compared_as_squad_does(
    answer: str, reference: str, exact: bool, f1: float, inside: bool
) -> None:
    """Small letters, no punctuation, no articles; F1 counts a word as often as both have it."""
    assert is_exact(answer, reference) == exact
    assert token_f1(answer, reference) == pytest.approx(f1)
    assert contains(answer, reference) == inside


def test_what_repeats_itself_loops() -> None:
    """seq-rep-4: of 1 2 3 4 1 2 3 4 the five pieces are four different ones."""
    assert repeated_share([1, 2, 3, 4, 1, 2, 3, 4]) == pytest.approx(1 - 4 / 5)
    assert repeated_share([1, 2]) == 0 and repeated_share(range(50)) == 0
    assert loops([7] * 11) and loops([1, 2, 3] * 6) and not loops(list(range(30))) and not loops([7] * 10)


def test_an_answer_of_another_row_is_found() -> None:
    """Not the wanted one, and none of a word or two, which are alike by themselves."""
    known = TrainedAnswers()
    for line, answer in enumerate(["Lisbon is the capital", "Yes", "Lisbon  is the capital"], start=1):
        known.see(answer, line)
    assert known.line_of("Lisbon is\nthe capital", "Madrid is it") == 1
    assert known.line_of("Lisbon is the capital", "Lisbon is the capital.") is None
    assert known.line_of("Yes", "No") is None and known.line_of("Porto is a town", "x") is None


def test_answers_together() -> None:
    """Shares of all, and the length as a ratio of sums."""
    answers = [
        ScoredAnswer("a", "complete", 10, True, 1.0, True, False, None),
        ScoredAnswer("b", "length", 30, False, 0.5, True, True, 4),
    ]
    asked = [AskedRow(0, "?", "a", 4), AskedRow(1, "?", "c", 6)]
    found = figures(answers, asked)
    assert found is not None and figures([], []) is None
    assert (found.exact, found.f1, found.contains, found.stopped) == (0.5, 0.75, 1.0, 0.5)
    assert (found.length, found.loops, found.copies) == (4.0, 0.5, 1)
