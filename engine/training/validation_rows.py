"""`training_validations.jsonl`: what each validation lost on each row, which tells how much of it is chance.

Whoever reads it does not trust it: lines that are none of ours are left out, and all numbers and the
whole file are bounded. A run is judged without it as well.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

from engine.files import NoPlainFile, flush, open_own, read_own, write_atomic
from engine.project import Project
from engine.training.progress import MOST_GROUPS

import msgspec

_MOST_BYTES = 64 << 20
"""Of the file: 10,000 validations of as many groups as there may be."""
_DIGITS = 4
"""Of a loss after the point: far below what rows differ by."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Loss = Annotated[float, msgspec.Meta(ge=-3.5e38, le=3.5e38)]


class RowLosses(msgspec.Struct, frozen=True, gc=False):
    """One line of the file, a validation; other keys are ignored."""

    step: _Count
    """Optimizer steps that were made before it."""
    tokens: Annotated[tuple[_Count, ...], msgspec.Meta(max_length=MOST_GROUPS)]
    """Trained tokens of each group of rows, see `engine.training.progress.MOST_GROUPS`."""
    losses: Annotated[tuple[_Loss, ...], msgspec.Meta(max_length=MOST_GROUPS)]
    """Summed loss of each, nats."""


def read_row_losses(project: Project) -> tuple[RowLosses, ...]:
    """Read what there is of a run, by step, the later one of two; nothing where there is no such file.

    Raises:
        OSError: it cannot be read, or what has its name is no plain file or far too large.
    """
    try:
        lines = read_own(project.row_losses_file, _MOST_BYTES).split(b"\n")[:-1]  # the last one is torn
    except FileNotFoundError:
        return ()
    found: dict[int, RowLosses] = {}
    counts: dict[tuple[int, ...], tuple[int, ...]] = {}  # the same in each line, kept once
    for line in lines:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            row = _DECODER.decode(line)
            if len(row.tokens) == len(row.losses):
                tokens = counts.setdefault(row.tokens, row.tokens)
                found[row.step] = RowLosses(row.step, tokens, row.losses)
    return tuple(found[step] for step in sorted(found))


_DECODER = msgspec.json.Decoder(RowLosses)


def add_row_losses(project: Project, step: int, tokens: Sequence[int], losses: Sequence[float]) -> None:
    """Append a validation; it is on the disk then.

    Raises:
        OSError: the file cannot be written.
    """
    row = RowLosses(step, tuple(tokens), tuple(round(loss, _DIGITS) for loss in losses))
    with open_own(project.row_losses_file, "a", encoding="utf-8") as file:
        file.write(_line(row))
        file.flush()
        flush(file.fileno())


def keep_row_losses(project: Project, until: int) -> None:
    """Drop the validations of steps after `until`, and what is none; what is no plain file is set aside.

    Raises:
        OSError: the file cannot be read or written.
    """
    from engine.training.retention import archive  # it brings MLX, which readers of the file go without

    path = project.row_losses_file
    try:
        found = read_row_losses(project)
    except NoPlainFile:
        archive(project.run_dir, [path])
        return
    kept = [_line(row) for row in found if row.step <= until]
    if kept:
        write_atomic(path, "".join(kept))
    elif path.exists():
        path.unlink()


def _line(row: RowLosses) -> str:
    return json.dumps(msgspec.structs.asdict(row)) + "\n"
