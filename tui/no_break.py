"""Lines end at no no-break space: thousands stay together, and a number with its unit."""

import re

import rich._wrap

_WORD = re.compile(r"[^\S\N{NO-BREAK SPACE}]*[\S\N{NO-BREAK SPACE}]+[^\S\N{NO-BREAK SPACE}]*")
"""As rich has it, for which every space is one to end a line at."""


def keep_together() -> None:
    """Let rich, and Textual by way of it, take what no-break spaces join for one word."""
    rich._wrap.re_word = _WORD
