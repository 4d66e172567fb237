"""Setting a part of the rows apart for validation, duplicates together on one side."""

from collections.abc import Iterable, Sequence

from engine.errors import UserError
from engine.i18n import _

import numpy as np

SHARE = 0.1
"""Of the rows that are set apart."""


def draw_validation(
    lines: Sequence[int], duplicates: Iterable[tuple[int, int]], seed: int, share: float = SHARE
) -> set[int]:
    """Return about `share` of the lines, one at least, drawn at random; duplicates are all drawn or none is.

    Args:
        lines: of the rows, rising.
        duplicates: pairs of those lines that should not be told apart.
        seed: of the draw; the same one draws the same lines.
        share: of the lines, above 0 and below 1.

    Raises:
        UserError: all rows are duplicates of one another, or there is one row only.
    """
    groups = _groups(duplicates)
    inside = {line for members in groups.values() for line in members}
    heads = [*groups, *(line for line in lines if line not in inside)]
    if len(heads) < 2:
        raise UserError(
            _("No rows can be set apart for validation: there are no two that differ"),
            _("add rows to train.jsonl"),
        )
    wanted = max(1, round(share * len(lines)))
    chosen: set[int] = set()
    for head in np.random.default_rng(seed).permutation(heads).tolist():
        members = groups.get(head, [head])
        if len(chosen) + len(members) <= wanted:
            chosen.update(members)
    smallest = min(groups.values(), key=len, default=[])
    return chosen or set(smallest)


def _groups(duplicates: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """Return the lines that have duplicates, by one of each group: duplicates, and duplicates of duplicates.

    They are found with disjoint sets (Galler and Fischer, 1964).
    """
    parent: dict[int, int] = {}

    def root(line: int) -> int:
        while (above := parent.setdefault(line, line)) != line:
            parent[line] = line = parent[above]
        return line

    for one, other in duplicates:
        parent[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for line in list(parent):
        groups.setdefault(root(line), []).append(line)
    return groups
