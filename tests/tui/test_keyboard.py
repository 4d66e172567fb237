"""From bytes to keys and pastes, wherever the bytes break off."""

import time

from tui.terminal.keyboard import Keyboard

import pytest
from textual.events import Key, Paste

TYPED = (
    "a\x1b[200~um\rd\x1b[31mois é\x1b[20\x1b[201~b\x1b[A\x1b[200~\x1b[201~c\x1b[200~\x1b\x03q\x1b[201~d"
).encode()


def read(data: bytes, size: int) -> list[str]:
    """Return keys by name and pastes as text, from bytes that come `size` at a time."""
    keyboard = Keyboard()
    messages = [
        message for at in range(0, len(data), size) for message in keyboard.take(data[at : at + size])
    ]
    return [f"«{message.text}»" if isinstance(message, Paste) else _name(message) for message in messages]


def _name(message: object) -> str:
    assert isinstance(message, Key)
    return message.key


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_nothing_in_a_paste_is_a_key(size: int) -> None:
    """Escape codes, Ctrl+C and the begin of a mark inside it; keys before, between and after."""
    assert read(TYPED, size) == [
        "a", "«um\rd\x1b[31mois é\x1b[20»", "b", "up", "«»", "c", "«\x1b\x03q»", "d",
    ]  # fmt: skip


def test_bytes_of_another_encoding_are_letters_that_nobody_knows() -> None:
    """A terminal set to Latin-1 does not end the program."""
    assert read(b"\xe9a\xff", 1) == ["replacement_character", "a", "replacement_character"]


@pytest.mark.parametrize("letter", ["6", "q", "é", " "])
def test_escape_and_a_letter_that_come_together_are_two_keys(letter: str) -> None:
    """As over a slow line; Option with an arrow or Enter, and sequences, stay what they are."""
    assert read(f"a\x1b{letter}b".encode(), 1000) == ["a", "escape", *read(letter.encode(), 1), "b"]
    assert read(b"\x1bb\x1b[A\x1bOP", 1000) == ["ctrl+left", "up", "f1"]


def test_escape_alone_is_a_key_after_a_while() -> None:
    """It may be the begin of another one."""
    keyboard = Keyboard()
    assert list(keyboard.take(b"\x1b")) == []
    keys: list[object] = []
    limit = time.monotonic() + 60
    while not keys and time.monotonic() < limit:
        keys += keyboard.tick()
    assert [_name(key) for key in keys] == ["escape"]
