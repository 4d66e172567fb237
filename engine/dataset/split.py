"""Setting a part of the rows apart for validation, twins together on one side."""

from collections.abc import Iterable, Sequence

from engine.errors import UserError
from engine.i18n import _

import numpy as np

SHARE = 0.1
"""Of the rows that are set apart."""


def draw_validation(
    lines: Sequence[int], twins: Iterable[tuple[int, int]], seed: int, share: float = SHARE
) -> set[int]:
    """Return about `share` of the lines, one at least, drawn at random; twins are all drawn or none is.

    Args:
        lines: of the rows, rising.
        twins: pairs of those lines that should not be told apart.
        seed: of the draw; the same one draws the same lines.
        share: of the lines, above 0 and below 1.

    Raises:
        UserError: all rows are twins of one another, or there is one row only.
    """
    groups = _groups(lines, twins)
    if len(groups) < 2:
        raise UserError(
            _("No rows can be set apart for validation: there are no two that differ"),
            _("add rows to train.jsonl"),
        )
    wanted = max(1, round(share * len(lines)))
    chosen: set[int] = set()
    for index in np.random.default_rng(seed).permutation(len(groups)).tolist():
        if len(chosen) + len(groups[index]) <= wanted:
            chosen.update(groups[index])
    smallest = min(groups, key=len)
    return chosen or set(smallest)


def _groups(lines: Sequence[int], twins: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the lines in groups of twins, and twins of twins (disjoint sets; Galler and Fischer, 1964)."""
    parent = {line: line for line in lines}

    def root(line: int) -> int:
        while parent[line] != line:
            parent[line] = line = parent[parent[line]]
        return line

    for one, other in twins:
        parent[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for line in lines:
        groups.setdefault(root(line), []).append(line)
    return list(groups.values())
