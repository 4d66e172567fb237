"""Harmless display of text that comes from data sets, models and file names."""

import json
import re
from typing import Any

# Steers a terminal, reorders what it shows (Unicode UAX #9), or hides in it without a trace:
# controls but line break and tab, format characters, line separators, blank letters, tags.
_ALWAYS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
# Parts of real words and emoji (Persian, Hindi, Mongolian; families), when they follow what they join.
_JOINERS = "\u180e\u200c\u200d"
_VARIANTS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_BLANK = "\t\n \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_ASCII = "!-~"
HARMFUL = re.compile(
    f"[{_ALWAYS}]"
    f"|(?<![^{_ALWAYS}{_JOINERS}{_BLANK}{_ASCII}])[{_JOINERS}]"
    f"|(?<![^{_ALWAYS}{_JOINERS}{_BLANK}{_VARIANTS}])[{_VARIANTS}]"
)
"""One character that must not reach a terminal."""
_SUSPECT = re.compile(f"[{_ALWAYS}{_JOINERS}{_VARIANTS}]")
"""One that may be harmful where it stands: looked for in a quarter of the time."""


def printable(text: str, before: str = "") -> str:
    """Return `text` with everything that could steer or deceive a reader's terminal made visible.

    Control characters (C0, C1, DEL), lone surrogates, bidirectional controls and
    invisible characters become escapes such as `\\x1b`; line breaks and tabs stay,
    and so do joiners inside words and emoji.

    Args:
        text: any text.
        before: what was printed before it on the same line, where a text comes in pieces.
    """
    last = before[-1:]
    return HARMFUL.sub(_escape, last + text)[len(HARMFUL.sub(_escape, last)) :]


def one_line(text: str, limit: int = 120) -> str:
    """Return `printable(text)` on one line of at most `limit` characters."""
    flat = printable(text[: limit + 1]).replace("\n", "⏎").replace("\t", " ")
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def json_text(value: Any, **options: Any) -> str:
    """Return `value` as JSON that reads back the same and is harmless on a terminal.

    Letters of all scripts stay readable; what `printable` would escape is `\\uXXXX`.

    Args:
        value: what `json.dumps` takes.
        options: passed on to `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    if text.isascii() and "\x7f" not in text:  # the rest of what steers a terminal is written as escapes
        return text
    return HARMFUL.sub(_escape_json, text) if _SUSPECT.search(text) else text


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_json(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]
