"""A number stays on one line with its thousands and its unit, wherever a text is broken."""

from tui.no_break import keep_together

import pytest
from rich.console import Console
from rich.text import Text
from textual.content import Content

TOKENS = "50\N{NO-BREAK SPACE}737\N{NO-BREAK SPACE}tokens"


@pytest.mark.parametrize("width", range(len(TOKENS), 30))
def test_no_line_ends_within_a_number(width: int) -> None:
    """Neither of Textual's texts nor of rich's."""
    keep_together()
    text = f"uma época: 213 passos, {TOKENS}"
    drawn = Content(text).wrap(width)
    wrapped = Text(text).wrap(Console(), width)
    assert any(TOKENS in line.plain for line in drawn), drawn
    assert any(TOKENS in line.plain for line in wrapped), wrapped


def test_a_longer_number_than_the_line_is_broken() -> None:
    """Nothing is lost."""
    keep_together()
    assert "".join(line.plain for line in Content(TOKENS).wrap(4)).replace(" ", "") == TOKENS
