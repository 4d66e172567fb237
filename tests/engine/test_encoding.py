"""Where prompts and answers end among the tokens, against transformers' offsets; rows in batches."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.batches.encode import TextEncoder
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.jsonl.row import Row
from engine.model_folder.tokenizer import load_tokenizer
from tests.support.chat_forms import byte_tokenizer, conversation
from tests.support.melting_tokenizer import melting_tokenizer
from tests.support.mistral_forms import FILES, Family
from tests.support.tiny import write_tokenizer

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

pytestmark = pytest.mark.xdist_group("mistral")


def greedy_tokenizer(folder: Path) -> Any:
    """Control tokens that take the white space after or before them along, as Phi's do."""
    write_tokenizer(folder)
    path = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.add_special_tokens(
        [AddedToken("<|end|>", special=True, rstrip=True), AddedToken("<|sep|>", special=True, lstrip=True)]
    )
    tokenizer.save(path)
    return load_tokenizer(folder)


def limited_tokenizer(folder: Path) -> Any:
    """One whose file cuts and pads, as some do: neither may touch a row."""
    write_tokenizer(folder)
    path = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=16)
    tokenizer.save(path)
    return load_tokenizer(folder)


def mistral_tokenizer(name: str, folder: Path) -> Any:
    return Family(name, folder / "own").tokenizer


MAKERS: dict[str, Callable[[Path], Any]] = {
    "a token a byte": lambda folder: byte_tokenizer(folder, "chatml"),
    "greedy": greedy_tokenizer,
    "limited": limited_tokenizer,
    "melting": lambda folder: melting_tokenizer(folder, trim_offsets=False),
    "melting, trimmed": lambda folder: melting_tokenizer(folder, trim_offsets=True),
    **{name: partial(mistral_tokenizer, name) for name in FILES},
}


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return MAKERS[request.param](tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def encoder(tokenizer: Any) -> TextEncoder:
    return TextEncoder(tokenizer, [i for i, token in tokenizer.added_tokens_decoder.items() if token.special])


@pytest.fixture(scope="module")
def tokenize(tokenizer: Any) -> ExampleTokenizer:
    return ExampleTokenizer(tokenizer, TrainingConfig())


def slow_split(tokenizer: Any, text: str, begin: int) -> tuple[int, bool]:
    """The first token after a prompt: its tokens where the text begins with them, else by offsets."""
    whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    before = tokenizer(text[:begin], add_special_tokens=False)["input_ids"]
    if whole["input_ids"][: len(before)] == before:
        return len(before), False
    ends = np.array([0, *(end for _begin, end in whole["offset_mapping"])])
    within = int(np.searchsorted(ends[1:], begin, side="right"))
    return within + int(ends[within] < begin), True


def slow_end(tokenizer: Any, text: str, end: int, is_mark: bool) -> int:
    """How many tokens begin before the end of a control token, or end up to that of a text."""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    if is_mark:
        return sum(begin < end for begin, _stop in spans)
    return sum(stop <= end for _begin, stop in spans)


WORDS = [
    "a",
    "Olá",
    " é",
    "\n",
    "\n\n",
    " ",
    "  ",
    "assistant\n",
    "user\n",
    "2 + 2",
    "😀",
    "\t",
    "</",
    "<|",
    "<",
]


@given(st.lists(st.one_of(st.integers(0, 3), st.sampled_from(WORDS)), max_size=14), st.data())
def test_every_place_falls_on_the_token_that_offsets_tell(
    tokenizer: Any, encoder: TextEncoder, parts: list[int | str], data: st.DataObject
) -> None:
    """Words, white space and control tokens in any order; the same tokens as transformers'."""
    marks = [mark for mark in encoder.control if mark.strip()]
    text = "".join(part if isinstance(part, str) else marks[part % len(marks)] for part in parts)
    tokens = encoder.tokens(text)
    assert tokens.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
    places = encoder.places(text, tokens)
    begin = data.draw(st.integers(0, len(text)))
    assert places.split(begin) == slow_split(tokenizer, text, begin)
    for end in [len(text), *places.ends]:
        is_mark = end in places.ends
        assert places.end(end, is_mark) == slow_end(tokenizer, text, end, is_mark)


@settings(max_examples=25)
@given(st.lists(st.sampled_from([*WORDS, "<|im_end|>", "x" * 40]), min_size=2, max_size=4))
def test_rows_of_a_batch_are_what_they_are_alone(tokenize: ExampleTokenizer, words: list[str]) -> None:
    """In their order, refused ones among them."""
    rows = [conversation(("user", one), ("assistant", two or "b")) for one in words for two in words]
    rows.insert(1, conversation(("assistant", "a"), ("user", "b"), ("assistant", "c")))
    rows.insert(3, Row(9, text="plain"))
    for row, (seen, made) in zip(rows, tokenize.many(rows), strict=True):
        assert seen is row
        if isinstance(made, TemplateError):
            with pytest.raises(TemplateError, match=str(made)[:20]):
                tokenize(row)
            continue
        for example, alone in zip(made, tokenize(row), strict=True):
            assert example.tokens.tolist() == alone.tokens.tolist()
            assert example.trained.tolist() == alone.trained.tolist()
