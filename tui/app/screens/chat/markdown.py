"""Markdown of replies, laid out as far as it is harmless: a link is shown as it was written.

No rule makes a link, an image, HTML or a character out of a code, and code is not coloured: lexers of
whatever language a model names may take forever.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

from engine.sanitize import printable

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text
from textual.content import Content

MOST_CHARACTERS = 1200
"""Of a block that is laid out, which takes longer than its length."""
MOST_CODE = 4000
"""Of code, which is only set in: in the shortest lines that takes some 40 ms."""
_FENCES = ("```", "~~~")
_UNUSED = ("link", "image", "autolink", "html_inline", "html_block", "entity", "reference")
_parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(_UNUSED)


class _Code(CodeBlock):
    """Code as it was written, set in."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip("\n"), style="cyan", overflow="fold"), (0, 0, 0, 2))


class _Title(Heading):
    """A heading at the left, whatever its level."""

    LEVEL_ALIGN: ClassVar = {}


class _Layout(Markdown):
    """Lays tokens out that were parsed by our rules."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
        "heading_open": _Title,
    }

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = tokens


class LaidOut:
    """A block without the empty lines around it."""

    def __init__(self, layout: _Layout) -> None:
        self._layout = layout

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._layout, options.update(height=None), pad=False)
        seen = [number for number, line in enumerate(lines) if any(part.text.strip() for part in line)]
        for line in lines[seen[0] : seen[-1] + 1] if seen else ():
            yield from line
            yield Segment.line()


def blocks_of(text: str) -> list[str]:
    """Return the top-level blocks of a Markdown text, which make it up as they are.

    All but the last stay as they are whatever is added to the text. One that is longer than
    `MOST_CHARACTERS` is cut between lines, unless it is code.
    """
    tokens = [token for token in _parser.parse(text) if token.level == 0 and token.map]
    lines = [f"{line}\n" for line in text.split("\n")]  # as the parser counts them
    lines[-1] = lines[-1][:-1]
    starts = [0, *(token.map[0] for token in tokens[1:] if token.map), len(lines)]
    kinds = [token.type for token in tokens] or [""]
    found: list[str] = []
    for kind, (begin, end) in zip(kinds, pairwise(starts), strict=True):
        block = "".join(lines[begin:end])
        found += [block] if kind == "fence" else _parts(block)
    return found


def _parts(block: str) -> Iterator[str]:
    """Yield a block in parts of whole lines that are short enough, as far as there are such."""
    while len(block) > MOST_CHARACTERS and (cut := block.rfind("\n", 0, MOST_CHARACTERS) + 1):
        yield block[:cut]
        block = block[cut:]
    yield block


def laid_out(block: str) -> LaidOut | Content:
    """Return a block as it is shown."""
    block = printable(block.strip("\n").rstrip())
    most = MOST_CODE if block.startswith(_FENCES) else MOST_CHARACTERS
    tokens = _parser.parse(block) if len(block) <= most else []
    return LaidOut(_Layout(tokens)) if tokens else Content(block)
