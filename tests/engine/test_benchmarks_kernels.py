"""What the table of a step's kernels adds up."""

import random

from benchmarks.kernels import Kernel, busy, report


def test_time_in_which_a_kernel_runs_counts_once() -> None:
    """Against a count of every nanosecond, for kernels that overlap, touch and lie apart, in any order."""
    draw = random.Random(4)
    for _try in range(50):
        kernels = [Kernel("k", draw.randrange(200), draw.randrange(1, 30)) for _kernel in range(12)]
        filled = {moment for one in kernels for moment in range(one.begin, one.begin + one.duration)}
        assert busy(kernels) == len(filled)


def test_the_longest_kernels_come_first() -> None:
    """With their number and time a step; names on one line."""
    kernels = [
        Kernel("short", 0, 10_000),
        Kernel("long\n<2>", 5_000, 90_000),
        Kernel("short", 100_000, 20_000),
    ]
    head, first, second = report(kernels, 2, 5)
    assert head == "0.1 ms a step, busy 0.1 ms, 2 kernels"
    assert first.split() == ["0.04", "ms", "0.5", "x", "90.0", "us", "long", "<2>"]
    assert second.split() == ["0.01", "ms", "1.0", "x", "15.0", "us", "short"]
