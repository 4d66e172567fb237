"""What a monkey does with a terminal: keys, texts, pastes, sizes and lost lines, drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

ESCAPE = "\x1b[27u"
"""Escape as it is written where it cannot be mistaken for the begin of another key."""
SIZES = ((80, 24), (120, 40), (200, 60), (300, 100), (40, 12), (20, 6), (5, 2), (1, 1), (80, 5), (12, 50))
"""Columns and rows."""
_NAMED = (
    "\r", "\r", "\r", "\t", "\x1b[Z", "\x7f", "\n", ESCAPE, ESCAPE, ESCAPE,
    *(f"\x1b[{end}" for end in ("A", "B", "C", "D", "H", "F", "2~", "3~", "5~", "6~", "1;2A", "1;5D")),
    *(f"\x1bO{end}" for end in "PQRS"), *(f"\x1b{letter}" for letter in "\rbfq"), "\x1b[13;2u",
)  # fmt: skip
_LETTERS = "1234567" * 4 + "aeiomnbxdgtzrcsfhpwyuvkl/?+-RNCDS, " + "q"
_CONTROLS = "".join(chr(code) for code in range(1, 27) if chr(code) not in "\x10\x11")
_TEXTS = (
    "olá", "0,0002", "-1", "1e999", "99999999999999999999", "3e-4", "q_proj", "/tmp", "../..", "~",
    "rows.csv", "[bold]", "[/INST]", "👩\u200d👩\u200d👧", "日本語", "e\u0301\u0301\u0301", "\u202eabc",
    "\ufeff", "x" * 300, " ", "'\"\\", "%s{0}",
)  # fmt: skip
_PASTES = (
    *_TEXTS, "", "\r", "\r\r\r", "um\rdois\r\rquatro", "a\nb\r\nc", "tab\there", "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07", "\x00\x01\x03\x04\x11\x1a", "q\rq\rq\r", "\x1b",
    "palavra " * 20_000, "linha\r" * 9_000,
)  # fmt: skip
_IN_PALETTE = (
    "\r\r", "\r", *(f"\x1b[{end}" for end in ("A", "B", "H", "F", "5~", "6~")), ESCAPE, "\x10",
    "rep", "zzz", "\x7f\x7f\x7f", "\x1b[200~tra\x1b[201~",
)  # fmt: skip
_ODD = (
    "\x1b[",
    "\x1b[<0;1",
    "\x1b[M",
    "\x1bP",
    "\x1b[200",
    "\x1b[99;99R",
    "\x1b[?2048;2$y",
    "\x1b[I",
    "\x1b[O",
)
"""Begins of sequences, and answers to questions that nobody asked."""


@dataclass(frozen=True)
class Burst:
    """What is done without waiting for an answer."""

    typed: bytes
    size: tuple[int, int] | None = None
    """To which the terminal is resized before it."""
    ends_by: Literal["", "line", "signal"] = ""
    """Whether right behind it the line is lost, or the app only told so (SIGHUP)."""


def draw(random: Random) -> Burst:
    """Return what the monkey does next."""
    kinds: dict[Callable[[Random], str], int] = {
        _keys: 10, _text: 3, _control: 3, _paste: 3, _palette: 3, _clicks: 2, _odd: 1
    }  # fmt: skip
    chosen = random.choices(list(kinds), list(kinds.values()), k=random.randint(1, 6))
    typed = "".join(kind(random) for kind in chosen).encode("utf-8", "surrogatepass")
    if random.random() < 0.05:
        typed += random.randbytes(random.randint(1, 8)).replace(b"\x1b", b"\xff").replace(b"\x11", b"\xfe")
    size = random.choice(SIZES) if random.random() < 0.2 else None
    return Burst(typed, size, random.choices(("", "line", "signal"), (96, 3, 1))[0])


def _keys(random: Random) -> str:
    return "".join(random.choice(random.choice((_NAMED, _LETTERS))) for _ in range(random.randint(1, 5)))


def _text(random: Random) -> str:
    return random.choice(_TEXTS)


def _control(random: Random) -> str:
    return random.choice(_CONTROLS) if random.random() < 0.9 else random.choice("\x10\x11")


def _paste(random: Random) -> str:
    return f"\x1b[200~{random.choice(_PASTES)}\x1b[201~"


def _palette(random: Random) -> str:
    """Open the list of places and use it before it is there."""
    return "\x10" + "".join(random.choice(_IN_PALETTE) for _ in range(random.randint(1, 6)))


def _clicks(random: Random) -> str:
    column, row = random.randint(1, 120), random.randint(1, 40)
    button = random.choice((0, 0, 0, 1, 2, 64, 65, 35))
    press = f"\x1b[<{button};{column};{row}M"
    return press if button >= 35 else f"{press}\x1b[<{button};{column};{row}m"


def _odd(random: Random) -> str:
    return random.choice(_ODD)
