"""Tiny plots of one line."""

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float]) -> str:
    """Draw one block per value, scaled to the largest; zero is a blank, anything above is visible."""
    highest = max(values, default=0)
    if highest <= 0:
        return " " * len(values)
    return "".join(
        _BLOCKS[min(len(_BLOCKS) - 1, int(value / highest * len(_BLOCKS)))] if value > 0 else " "
        for value in values
    )
