"""The rows of a Parquet table, a few at a time; pyarrow, which reads it, is an optional dependency."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from engine.dataset.convert.records import Record, refuse_twice
from engine.dataset.convert.source import Source
from engine.errors import UserError
from engine.i18n import _
from engine.shell import installing

_BATCH = 1000
"""Rows that are held in memory together, at most."""
BATCH_BYTES = 1 << 29
"""Of a batch, if each of its rows were as large as all that its row group holds: a dictionary lets it be."""
_MOST_GROUP_BYTES = 1 << 32
"""Of an unpacked row group."""
_MOST_VALUES = 50_000_000
"""Of the lists in a column of a row group: one row may hold them all."""
_UNREADABLE = (ValueError, OverflowError)
"""What pyarrow raises for text that is not UTF-8 and for dates that Python does not know."""


def read_parquet(source: Source) -> Iterator[Record]:
    """Yield every row of a table, numbered from 1.

    Raises:
        UserError: pyarrow is not there, or the table is damaged or unpacks to more than memory should hold.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            _("Reading {path} takes pyarrow, which is not installed").format(path=source.path),
            _("run: {command}").format(command=installing("pyarrow")),
        ) from None
    try:
        file = parquet.ParquetFile(source.path)
        refuse_twice(source.path, file.schema_arrow.names)
        batches = file.iter_batches(batch_size=_batch_rows(source.path, file.metadata))
        rows = chain.from_iterable(map(_rows, batches))
        yield from (Record(number, row) for number, row in enumerate(rows, start=1))
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise UserError(
            _("{path} is a damaged Parquet table: {reason}").format(path=source.path, reason=error),
            _("copy it again"),
        ) from None


def _batch_rows(path: Path, metadata: Any) -> int:
    """Return how many rows of a table may be unpacked together, by what it says of its row groups.

    Raises:
        UserError: not even one should be.
    """
    largest = 1
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        columns = [group.column(index) for index in range(group.num_columns)]
        unpacked = sum(column.total_uncompressed_size for column in columns)
        values = max((column.num_values for column in columns), default=0)
        if unpacked > _MOST_GROUP_BYTES or values - group.num_rows > _MOST_VALUES:
            raise UserError(
                _("{path} unpacks to more than memory should hold at once").format(path=path),
                _("write it anew in smaller row groups, without columns of long lists"),
            )
        largest = max(largest, unpacked)
    return max(1, min(_BATCH, BATCH_BYTES // largest))


def _rows(batch: Any) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
        return rows
    except _UNREADABLE:
        names, columns = batch.schema.names, batch.columns
        return [
            dict(zip(names, [_cell(column[index]) for column in columns], strict=True))
            for index in range(batch.num_rows)
        ]


def _cell(scalar: Any) -> Any:
    """Return the value of a cell; of one that Python cannot hold, something that is no text."""
    try:
        return scalar.as_py()
    except _UNREADABLE:
        return b""
