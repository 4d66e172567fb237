"""What a report is made of: plain blocks of text, tables, commands and charts, whatever form they take."""

from dataclasses import dataclass, field
from typing import Literal

Sign = Literal["", "ok", "note", "warning", "error"]
"""What a paragraph is marked with."""


@dataclass(frozen=True)
class Paragraph:
    """One or more sentences."""

    text: str
    sign: Sign = ""
    kind: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Command:
    """A command to paste into a shell, on one line."""

    text: str
    kind: str = field(default="command", init=False)


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are heads."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_numeric: bool = True
    """Whether all columns but the first hold numbers."""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Chart:
    """A picture whose text is text."""

    name: str
    """Of its file, without the ending."""
    title: str
    """What it shows, for who cannot see it."""
    svg: str
    """An `<svg>` element."""
    kind: str = field(default="chart", init=False)


Block = Paragraph | Command | Table | Chart


@dataclass(frozen=True)
class Section:
    """Blocks below a heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """All of it."""

    title: str
    language: str
    """As BCP 47 writes it."""
    opening: tuple[Block, ...]
    """The verdict, before any heading."""
    sections: tuple[Section, ...]

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All charts in their order."""
        blocks = (block for section in self.sections for block in section.blocks)
        return tuple(block for block in blocks if isinstance(block, Chart))
