"""How many cores there are for this process: those it may run on, and the time that a container has."""

from pathlib import Path

from engine.cores import core_count, own_cores

import pytest

V1 = {"cpu/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "900000 100000\n"}, 4),
        ({"cpu.max": "200000 0\n"}, 4),
        ({"cpu.max": "a number"}, 4),
        ({"cpu.max": ""}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n", **V1}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", **V1}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n"}, 4),
    ],
)
def test_a_container_may_have_less_time_than_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int
) -> None:
    """As both versions of Linux's control groups write it; what is no limit is none."""
    monkeypatch.setattr("engine.cores.own_cores", lambda: frozenset(range(4)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert core_count(tmp_path) == expected


def test_a_process_may_be_kept_to_some_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `taskset -c 5,7` does."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {5, 7}, raising=False)
    assert own_cores() == {5, 7} and core_count(tmp_path) == 2


def test_where_the_system_does_not_tell_all_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert own_cores() == {0, 1, 2}
