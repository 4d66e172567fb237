"""What differs between two rows."""

import json
import unicodedata
from pathlib import Path

from engine.dataset.inspect.word_diff import MOST_WORDS, Said, compared, read_pair
from engine.dataset.jsonl.row import Row
from engine.dataset.report import Place
from engine.errors import UserError

from hypothesis import given, settings
from hypothesis import strategies as st


def pair(prompt: str, completion: str) -> Row:
    """Return a row."""
    return Row(1, ({"role": "user", "content": prompt}, {"role": "assistant", "content": completion}))


def marked(said: Said) -> str:
    """Return a text with brackets around what differs."""
    return "".join(f"[{part.text}]" if part.differs else part.text for part in said.parts)


def test_words_that_differ_are_marked_on_both_sides() -> None:
    """With the space before them; what is the same is not."""
    left, right = compared(
        pair("Onde?", "Em Lisboa, perto do mar."), pair("Onde?", "Em Faro, mesmo perto do mar.")
    )
    assert [marked(said) for said in left] == ["Onde?", "Em[ Lisboa], perto do mar."]
    assert [marked(said) for said in right] == ["Onde?", "Em[ Faro],[ mesmo] perto do mar."]
    assert [said.role for said in left] == ["user", "assistant"]


def test_a_difference_that_nobody_sees_is_marked_too() -> None:
    """White space, and the same letter written in two ways."""
    text = "não sei"
    left, _right = compared(Row(1, (), text), Row(2, (), unicodedata.normalize("NFD", text)))
    assert marked(left[0]) == "[não] sei" and left[0].role == ""
    left, _right = compared(Row(1, (), "a b"), Row(2, (), "a  b"))
    assert marked(left[0]) == "a[ b]"


def test_rows_of_different_forms_are_compared_turn_by_turn() -> None:
    """A turn that the other row does not have differs as a whole."""
    left, right = compared(pair("a", "b"), Row(1, (), "a"))
    assert [(said.role, marked(said)) for said in left] == [("user", "a"), ("assistant", "[b]")]
    assert [(said.role, marked(said)) for said in right] == [("", "a"), ("", "")]


WORDS = st.lists(st.sampled_from(["a", "b", " ", "\n", ".", "é", "𝕏", "\u200b"])).map("".join)


@given(WORDS, WORDS)
@settings(max_examples=300)
def test_nothing_of_a_text_is_lost_and_what_is_unmarked_is_in_both(left: str, right: str) -> None:
    """Whatever the texts are."""
    one, other = (side[0] for side in compared(Row(1, (), left or "x"), Row(2, (), right or "x")))
    assert "".join(part.text for part in one.parts) == (left or "x")
    assert "".join(part.text for part in other.parts) == (right or "x")
    assert [part.text for part in one.parts if not part.differs] == [
        part.text for part in other.parts if not part.differs
    ]


def test_of_a_long_text_the_first_words_are_compared() -> None:
    """And it is known that there is more, however much the texts repeat themselves."""
    words = " ".join(["mar", "sal", "sol"] * MOST_WORDS)
    left, right = compared(Row(1, (), words), Row(2, (), f"o {words}"))
    assert not left[0].is_whole and not right[0].is_whole
    assert len("".join(part.text for part in left[0].parts).split()) == MOST_WORDS


def test_rows_are_read_from_their_files(tmp_path: Path) -> None:
    """One that is not there (any more) is said to be missing, the other is shown."""
    for name, text in (("train.jsonl", "a b"), ("valid.jsonl", "a c")):
        (tmp_path / name).write_text("\n" + json.dumps({"text": text}))
    train, valid = Place("train.jsonl", 2), Place("valid.jsonl", 2)
    left, right = read_pair(tmp_path, (train, valid))
    assert isinstance(left, tuple) and isinstance(right, tuple)
    assert (marked(left[0]), marked(right[0])) == ("a[ b]", "a[ c]")
    left, right = read_pair(tmp_path, (train, Place("valid.jsonl", 1)))
    assert isinstance(left, tuple) and marked(left[0]) == "a b"
    assert isinstance(right, UserError) and "no row on line 1" in str(right)
