"""Texts from anywhere are shown harmlessly: nothing steers a terminal, nothing hides, words stay readable."""

import json
import unicodedata
from typing import Any

from engine.errors import UserError
from engine.files import write_json
from engine.sanitize import json_text, one_line, printable

import pytest
from hypothesis import given
from hypothesis import strategies as st

VISIBLE_FORMATS = set(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
JOINERS = {"\u200c", "\u200d"}
READABLE = (
    "São 1.234 €, ¿qué?\tok\n",
    "می‌خواهم",
    "क्‍ष",
    "👩‍👩‍👧 👩🏽‍🚀 ❤️‍🔥 1️⃣ ☎️",
    "葛󠄀城 ᠪᠣᠯᠤ᠎ᠠ 한국어 ไทย",
    "[red] $x_{1}$ \\x1b",
)
any_text = st.text(st.characters(exclude_categories=()))


def steers(char: str) -> bool:
    """Whether Unicode calls a character a control, a format, a line separator or half a character."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\t"


def test_every_control_and_format_character_becomes_visible() -> None:
    """All of Unicode, less the Arabic signs that have a shape; joiners too where they join nothing."""
    raw = {chr(code) for code in range(0x110000) if steers(chr(code)) and printable(chr(code)) == chr(code)}
    assert raw == VISIBLE_FORMATS


@pytest.mark.parametrize("char", ["\u034f", "\u115f", "\u1160", "\u3164", "\uffa0", "\ufe0f", "\U000e0100"])
def test_characters_without_a_shape_become_visible(char: str) -> None:
    """Blank letters, and variation selectors with nothing to vary."""
    assert printable(f"a {char}b") == f"a \\{'u' if ord(char) < 0x10000 else 'U000'}{ord(char):04x}b"


@pytest.mark.parametrize("text", READABLE)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Letters of all scripts, joined emoji, Persian and Hindi words."""
    assert printable(text) == text
    assert json.loads(json_text([text])) == [text] and json_text(text).count("\\u") == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;QQ==\x07", "\\x1b]52;c;QQ==\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("good\rbad\x08\x7f", "good\\x0dbad\\x08\\x7f"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("pay\u200dpal \u200bx\u200d\u200d", "pay\\u200dpal \\u200bx\\u200d\\u200d"),
        ("👩\u200d\u200d👩", "👩\u200d\\u200d👩"),
        ("a\U000e0041\udc9b", "a\\U000e0041\\udc9b"),
    ],
)
def test_tricks_are_shown(text: str, shown: str) -> None:
    """Escape sequences, C1, overwriting, reordering, hiding, bytes that are not UTF-8."""
    assert printable(text) == shown


@given(any_text)
def test_nothing_that_steers_is_left(text: str) -> None:
    """For any text; and what is harmless once is left alone the next time."""
    shown = printable(text)
    assert {char for char in shown if steers(char)} <= VISIBLE_FORMATS | JOINERS | {"\u180e"}
    assert printable(shown) == shown


@given(any_text, st.integers(0, 50))
def test_a_text_in_pieces_is_shown_as_the_whole(text: str, cut: int) -> None:
    """A reply comes token by token; joiners look at what was printed before."""
    assert printable(text[:cut]) + printable(text[cut:], before=text[:cut]) == printable(text)


@given(any_text, st.integers(1, 60))
def test_one_line_is_one_short_line(text: str, limit: int) -> None:
    """No line break is left, and the limit holds."""
    shown = one_line(text, limit)
    assert len(shown) <= limit and len(shown.splitlines()) <= 1


# Two halves of a character beside each other are read back as the whole one by every JSON reader.
whole_text = st.text()


@given(
    st.recursive(
        whole_text | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(whole_text, inner)
    )
)
def test_json_reads_back_and_is_harmless(value: Any) -> None:
    """The same value for every reader, with nothing in it that steers a terminal."""
    text = json_text(value)
    assert json.loads(text) == value
    assert {char for char in text if steers(char)} <= VISIBLE_FORMATS | JOINERS | {"\u180e"}


def test_files_are_harmless_to_look_at(tmp_path: Any) -> None:
    """A name of bytes that are not UTF-8 is written and read back; `cat` shows no control code."""
    write_json(tmp_path / "state.json", {"model": "é\x9b\u202e\udc9b"})
    content = (tmp_path / "state.json").read_bytes()
    assert json.loads(content) == {"model": "é\x9b\u202e\udc9b"} and "é".encode() in content
    assert content.decode().replace("\n", "").isprintable()


@given(any_text, any_text)
def test_a_refusal_is_one_harmless_sentence(problem: str, fix: str) -> None:
    """Whatever it quotes."""
    error = UserError(problem, fix)
    assert str(error) == printable(str(error)) and len(str(error).splitlines()) <= 1


def test_a_refusal_does_not_quote_a_whole_file() -> None:
    """A value of a million characters is cut."""
    assert len(str(UserError("x" * 10**6, "y" * 10**6))) < 5000
