"""Dividing rows over processes that compute at the same time."""

from collections.abc import Sequence


def divide(tokens: Sequence[int], speeds: Sequence[float]) -> list[list[int]]:
    """Return the rows of each process so that all need about as long (longest processing time first).

    Graham, "Bounds on Multiprocessing Timing Anomalies" (1969): the longest row that is left goes to
    the process that would be done with it first. Equal inputs give equal results everywhere.

    Args:
        tokens: of each row.
        speeds: of each process, in any one unit; above 0.

    Returns:
        Indices of `tokens` for each process, rising; a process may have none.
    """
    if len(speeds) == 1:
        return [list(range(len(tokens)))]
    loads = [0] * len(speeds)
    shares: list[list[int]] = [[] for _speed in speeds]
    for row in sorted(range(len(tokens)), key=lambda row: (-tokens[row], row)):
        # The first of those that are equally soon done.
        soonest = min(range(len(speeds)), key=lambda rank: (loads[rank] + tokens[row]) / speeds[rank])
        loads[soonest] += tokens[row]
        shares[soonest].append(row)
    return [sorted(share) for share in shares]
