"""Harmless display of text that comes from data sets, models and file names."""

import unicodedata

_KEEP = frozenset("\n\t")
# Bidirectional controls: they reorder what a terminal shows (Unicode UAX #9).
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Return `text` with everything that could steer a terminal made visible.

    Control characters (C0, C1, DEL), lone surrogates and bidirectional controls become
    escapes such as `\\x1b`; line breaks and tabs stay.
    """
    return "".join(char if _is_harmless(char) else _escape(char) for char in text)


def one_line(text: str, limit: int = 120) -> str:
    """Return `printable(text)` on one line of at most `limit` characters."""
    flat = printable(text).replace("\n", "⏎").replace("\t", " ")
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _is_harmless(char: str) -> bool:
    return char in _KEEP or (unicodedata.category(char) not in ("Cc", "Cs") and char not in _BIDI)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
