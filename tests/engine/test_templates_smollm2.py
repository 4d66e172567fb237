"""SmolLM2's own tokenizer and template, from the built-in model's file: golden tokens, and tiktoken's."""

import re
from dataclasses import dataclass
from typing import Any

from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.model.demo import sample_data_dir
from engine.model.demo_source import find_demo_gguf
from engine.model.gguf_reader import read_header
from engine.model.gguf_tokenizer import build_tokenizer
from engine.model_folder.tokenizer import load_tokenizer
from tests.support.chat_forms import conversation, tokenize

import pytest
from tiktoken import Encoding
from transformers.convert_slow_tokenizer import bytes_to_unicode

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("model")]
# GPT-2's words, behind a split that makes every digit a word of its own.
WORDS = (
    r"\p{Nd}|'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[\p{No}\p{Nl}]+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{Nd})|\s+(?!\S)|\s+"
)
SYSTEM = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
)
ONE = (("user", "Qual é a capital de Portugal?"), ("assistant", "Lisboa."))
GOLDEN = SYSTEM + (
    "<|im_start|>user\nQual é a capital de Portugal?<|im_end|>\n<|im_start|>assistant\n⟦Lisboa.<|im_end|>⟧\n"
)
IDS = [1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712,
       8182, 2, 198, 1, 4093, 198, 48346, 26411, 253, 3575, 367, 17580, 47, 2, 198, 1, 520, 9531, 198, 60,
       271, 2740, 81, 30, 2, 198]  # fmt: skip
TRAINED = [60, 271, 2740, 81, 30, 2]


@dataclass(frozen=True)
class SmolLM2:
    """The tokenizer as the engine loads it, and a tiktoken encoding of the same vocabulary."""

    tokenizer: Any
    encoding: Encoding


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> SmolLM2:
    """SmolLM2's merges are in the order of their tokens' ids, so an id is a rank."""
    folder = tmp_path_factory.mktemp("smollm2")
    header = read_header(find_demo_gguf(lambda _stage: None))
    build_tokenizer(header).save(folder)
    byte_of = {letter: byte for byte, letter in bytes_to_unicode().items()}
    tokens = header.items("tokenizer.ggml.tokens", str)
    control = {token: number for number, token in enumerate(tokens[:17])}
    ranks = {bytes(byte_of[c] for c in token): n for n, token in enumerate(tokens) if n >= len(control)}
    return SmolLM2(load_tokenizer(folder), Encoding("smollm2", pat_str=WORDS, mergeable_ranks=ranks,
                                                    special_tokens=control))  # fmt: skip


def expected(encoding: Encoding, marked: str) -> tuple[list[int], list[bool]]:
    """Tokens of a text in which ⟦ and ⟧ stand around what is trained."""
    tokens: list[int] = []
    trained: list[bool] = []
    for number, piece in enumerate(re.split("[⟦⟧]", marked)):
        ids = encoding.encode(piece, allowed_special="all")
        tokens += ids
        trained += [number % 2 == 1] * len(ids)
    return tokens, trained


def test_golden_tokens(smollm2: SmolLM2) -> None:
    """Written down once: a change of library or template shows here."""
    example = tokenize(smollm2.tokenizer, conversation(*ONE))
    assert example.tokens.tolist() == IDS
    assert example.tokens[example.trained].tolist() == TRAINED


THREE = (
    ("system", "Sê breve."),
    *ONE,
    ("user", "E em 2024, 1.234 €?\n\n\tx = [1, 22]  "),
    ("assistant", " 😀 Não sei:\n- a\n-  b "),
)
MARKED = (
    "<|im_start|>system\nSê breve.<|im_end|>\n"
    + GOLDEN.removeprefix(SYSTEM)
    + "<|im_start|>user\nE em 2024, 1.234 €?\n\n\tx = [1, 22]  <|im_end|>\n"
    "<|im_start|>assistant\n⟦ 😀 Não sei:\n- a\n-  b <|im_end|>⟧\n"
)


@pytest.mark.parametrize(("turns", "marked"), [(ONE, GOLDEN), (THREE, MARKED)])
def test_tokens_and_spans_are_those_of_tiktoken(smollm2: SmolLM2, turns: Any, marked: str) -> None:
    """The default system text, each answer with its end-of-turn token, nothing else trained."""
    example = tokenize(smollm2.tokenizer, conversation(*turns))
    tokens, trained = expected(smollm2.encoding, marked)
    assert example.tokens.tolist() == tokens
    assert example.trained.tolist() == trained
    assert example.ends_turn and not example.shares_token


def test_an_answer_that_melts_with_the_template_is_noticed(smollm2: SmolLM2) -> None:
    """Two line breaks at its start melt with the one of the generation prompt; the rest is trained."""
    example = tokenize(smollm2.tokenizer, conversation(ONE[0], ("assistant", "\n\nLisboa.")))
    assert example.shares_token and example.ends_turn
    assert example.tokens[example.trained].tolist() == smollm2.encoding.encode("\n") + TRAINED


def test_the_sample_data_is_split_without_a_doubt(smollm2: SmolLM2) -> None:
    """Every row that the project ships is tokenised as tiktoken does it."""
    for row in read_rows(sample_data_dir() / "train.jsonl"):
        assert isinstance(row, Row)
        example = tokenize(smollm2.tokenizer, row)
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row.messages)
        assert example.tokens.tolist() == smollm2.encoding.encode(SYSTEM + text, allowed_special="all")
        assert example.ends_turn and not example.shares_token
