"""What is drawn with single characters: how good or bad something is, and plots of one line."""

from collections.abc import Sequence

SYMBOLS = {
    "ok": "✓",
    "note": "·",
    "warning": "!",
    "attention": "!",
    "error": "✗",
    "wrong": "✗",
    "running": "●",
    "paused": "‖",
}
"""Symbol of each status of a check, severity of a fault, level of a verdict, sign of a run."""
_BLOCKS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], base: float = 0.0) -> str:
    """Draw one block for each value, from `base` to the largest; zero and what is below `base` is a blank."""
    span = max(values, default=base) - base or 1.0
    return "".join(
        _BLOCKS[min(len(_BLOCKS) - 1, int((value - base) / span * len(_BLOCKS)))]
        if value and value >= base
        else " "
        for value in values
    )
