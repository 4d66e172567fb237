"""From what a terminal sends to keys, clicks and pastes."""

import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import BRACKETED_PASTE_END as END
from textual._xterm_parser import BRACKETED_PASTE_START as START
from textual._xterm_parser import XTermParser
from textual.events import Paste
from textual.message import Message

_ESCAPE = "\x1b[27u"
"""As the key is written where it cannot be the begin of another one (kitty's keyboard protocol)."""
_BEFORE_A_LETTER = re.compile(r"\x1b(?=([^\x00-\x1f\x7f\[\]\\OPX^_]))")
"""Escape right before a letter that begins no sequence."""


class Keyboard:
    """Reads keys with Textual's parser, and keeps pasted texts from it.

    Textual takes an escape code inside a pasted text, and what follows it, for keys, so
    that a paste could send, start or quit; it needs a second for a megabyte; and it ends
    with a traceback where a terminal sends another encoding than UTF-8. Of Escape and a
    letter that come together, as over a slow line, it makes a sign such as "§" or "^".
    """

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._parser = XTermParser()
        self._is_pasting = False
        self._seen = ""
        """The paste under way; outside pastes the last characters: a mark may come in parts."""

    def take(self, data: bytes) -> Iterator[Message]:
        """Yield what the next bytes mean; they may break off anywhere."""
        text = self._decode(data)
        while text:
            mark = END if self._is_pasting else START
            before = len(self._seen)
            self._seen += text
            at = self._seen.find(mark, max(0, before - len(mark)))
            end = len(self._seen) if at < 0 else at + len(mark)
            typed, text = self._seen[before:end], self._seen[end:]
            if not self._is_pasting:
                # With the mark: the parser then waits for the end of a paste.
                yield from self._parser.feed(_BEFORE_A_LETTER.sub(_escape, typed))
            elif at >= 0:
                yield Paste(self._seen[:at])
                list(self._parser.feed(END))  # an empty paste
            if at >= 0:
                self._is_pasting, self._seen = not self._is_pasting, ""
            elif not self._is_pasting:
                self._seen = self._seen[-len(mark) :]

    def tick(self) -> Iterable[Message]:
        """Yield what is known only after a while, such as that Escape was a key; call it often."""
        return self._parser.tick()


def _escape(found: re.Match[str]) -> str:
    """Return Escape as a key of its own, unless it makes a key with the letter, as Option and an arrow do."""
    makes_key = isinstance(ANSI_SEQUENCES_KEYS.get(found[0] + found[1]), tuple)
    return found[0] if makes_key else _ESCAPE
