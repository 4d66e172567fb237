"""One line of the metrics file: the numbers that it may hold, and how they are read."""

import json
import math
from datetime import datetime
from typing import Annotated

import msgspec

_MOST = 10**12
"""Beyond any run, and still far from where sums over all its steps leave 64 bits."""
_MOST_LOSS = 3.5e38
"""Just beyond what a float32 holds, the losses of a run that diverged included."""
_Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
_Amount = Annotated[float, msgspec.Meta(ge=0, le=_MOST)]
_Loss = Annotated[float, msgspec.Meta(ge=-_MOST_LOSS, le=_MOST_LOSS)]


class MetricsLine(msgspec.Struct, gc=False):
    """The numbers of one line of `training_metrics.json`; other keys are ignored."""

    step: _Count
    epoch: _Count
    loss: _Loss | None
    val_loss: _Loss | None
    learning_rate: _Amount
    grad_norm: _Loss | None
    tokens: _Count
    tokens_per_second: _Amount
    peak_memory_gb: _Amount
    elapsed_s: _Amount


class _Moment(msgspec.Struct, gc=False):
    """What else the line tells."""

    time: str


_DECODER = msgspec.json.Decoder(MetricsLine)
_TIME = msgspec.json.Decoder(_Moment)


def rows_of(lines: bytes) -> list[MetricsLine]:
    """Read whole lines at once.

    Raises:
        msgspec.MsgspecError: one of them is no step of a run, or not one that `row_of` alone can read.
        UnicodeDecodeError: the same.
    """
    return _DECODER.decode_lines(lines)


def row_of(line: bytes) -> MetricsLine:
    """Read one line; also one with NaN or Infinity in it, which JSON does not have but some writers write.

    Raises:
        ValueError: it is no step of a run.
        RecursionError: the same.
    """
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError:
        if b"NaN" not in line and b"Infinity" not in line:
            raise
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError(line)
    bad = {name for name, value in found.items() if isinstance(value, float) and not math.isfinite(value)}
    row = msgspec.convert(found | dict.fromkeys(bad), MetricsLine)
    if "val_loss" in bad:
        row.val_loss = math.inf
    return row


def end_of(lines: bytes) -> float:
    """Return when the last of these steps ended, seconds since 1970; 0 if its line does not tell."""
    try:
        return datetime.fromisoformat(_TIME.decode(lines.rstrip(b"\n").rpartition(b"\n")[2]).time).timestamp()
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError, RecursionError):
        return 0.0
