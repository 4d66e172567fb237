"""Products take the cores that nothing else needs, and come out the same with any number of threads."""

from collections.abc import Set
from typing import Any

from engine import blas
from engine.backend import exp, mx
from engine.threads import ThreadCount, Times, adapt_threads, now

import numpy as np
import pytest


def after(cores: int, seconds: float, others: float, own: float) -> int | None:
    """Return what is decided after some seconds in which others and this process took so many cores."""
    times = [Times(10.0, 100.0, 5.0)]
    idle = cores - others - own
    times.append(Times(10.0 + seconds, 100.0 + idle * seconds, 5.0 + own * seconds))

    def told(_cores: Set[int]) -> Times:
        return times.pop(0)

    return ThreadCount(set(range(cores)), told).adapt()


@pytest.mark.parametrize(
    ("cores", "others", "own", "threads"),
    [
        (2, 0.0, 1.0, 2),
        (2, 0.0, 2.0, 2),
        (2, 0.25, 1.7, 2),
        (2, 0.5, 1.5, 1),
        (2, 1.0, 1.0, 1),
        (2, 1.9, 0.1, 1),
        (8, 0.1, 7.0, 8),
        (8, 3.0, 5.0, 5),
        (1, 0.0, 1.0, 1),
        (1, 0.9, 0.1, 1),
    ],
)
def test_cores_that_others_need_are_left_to_them(cores: int, others: float, own: float, threads: int) -> None:
    """What this process takes itself is to be had; a little of a core may be shared."""
    assert after(cores, 2.0, others, own) == threads


def test_a_container_may_have_less_time_than_cores() -> None:
    """Its cores are idle for others, and it is stopped where it takes them."""
    times = [Times(10.0, 100.0, 5.0), Times(12.0, 114.0, 7.0)]
    assert ThreadCount(set(range(8)), lambda _cores: times.pop(0), most=2).adapt() == 2


def test_too_short_a_time_tells_nothing() -> None:
    """The times of the system come in hundredths of a second."""
    assert after(2, 0.1, 1.0, 1.0) is None


def test_the_times_of_this_machine_can_be_read() -> None:
    """Idle time goes on, or this process computed meanwhile; neither goes back."""
    first = now({0})
    sum(range(10**6))
    second = now({0})
    assert second.clock > first.clock and second.idle >= first.idle and second.own > first.own


def test_cores_that_the_system_does_not_list_are_those_that_it_lists() -> None:
    """As in a container, which sees its own from 0 on; the process knows them by other numbers."""
    assert now({10**6}).idle > 0


def test_a_system_that_tells_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training goes on with as many threads as before."""

    def refused(**_kinds: bool) -> None:
        raise PermissionError

    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr("engine.threads._count", None)
    monkeypatch.setattr("engine.threads.psutil.cpu_times", refused)
    adapt_threads()


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable set nothing is measured and nothing changed."""
    set_to: list[int] = []
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr("engine.threads.set_threads", set_to.append)
    monkeypatch.setattr("engine.threads.ThreadCount.adapt", lambda _self: 7)
    adapt_threads()
    adapt_threads()
    assert not set_to
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    adapt_threads()
    adapt_threads()
    assert set_to[-1] == 7


def test_a_process_can_be_told_to_keep_one_number() -> None:
    """The user's, where there is one."""
    assert blas.fixed_threads({"OPENBLAS_NUM_THREADS": "7"}) == {"OPENBLAS_NUM_THREADS": "7"}
    assert int(blas.fixed_threads({})["OPENBLAS_NUM_THREADS"]) >= 1


def products(seed: int) -> list[bytes]:
    """Return the bytes of the products of a training step, of many shapes."""
    draw = np.random.default_rng(seed)

    def array(*shape: int) -> Any:
        return mx.array(draw.standard_normal(shape).astype(np.float32))

    found = []
    for rows in (1, 37, 81, 243, 384):
        for inputs, outputs in ((576, 576), (576, 1536), (1536, 576), (64, rows), (rows, 64), (576, 1200)):
            x, weight = array(rows, inputs), array(outputs, inputs)
            for y in (x @ weight.T, x @ array(inputs, outputs), mx.addmm(array(rows, outputs), x, weight.T)):
                found.append(np.array(y).tobytes())
    return found


def test_products_are_the_same_with_any_number_of_threads() -> None:
    """To the last bit, up to 384 tokens: the number may change in the midst of a run."""
    wanted = products(0)
    try:
        for threads in (2, 3, 4):
            blas.set_threads(threads)
            assert products(0) == wanted
    finally:
        blas.set_threads(1)


def test_the_power_is_the_exponential_function() -> None:
    """Against float64, relative to how exact x can be."""
    x = np.linspace(-80, 80, 100_001).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    error = np.abs(np.array(exp(mx.array(x)), np.float64) / exact - 1)
    assert (error < 2e-7 * (1 + np.abs(x))).all()
