"""The tokenizers of GGUF files, against the libraries they come from."""

from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.model.gguf_header import GgufHeader, GgufTensor
from engine.model.gguf_tokenizer import build_tokenizer

import mistral_common
import pytest
from sentencepiece import SentencePieceProcessor

MISTRAL_V1 = Path(mistral_common.__file__).parent / "data" / "tokenizer.model.v1"
TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Em 2024, 1.234 pessoas pagaram 5,67 €: olá, coração!",
    "naïve façade — “quotes” … 日本語 Ελληνικά",
    "emoji 😀 👩‍👩‍👧 and\ttabs\n\n\nlines",
    "  leading and    inner   spaces  ",
    "def f(x):\n        return x ** 2  # aaaaaaaaaaaa ==========",
    "a",
]


@pytest.fixture(scope="module")
def mistral() -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(MISTRAL_V1))


def header(metadata: dict[str, Any], rows: int) -> GgufHeader:
    """A header with a tokenizer and as much of a model as it needs."""
    tensors = {"token_embd.weight": GgufTensor("F16", (rows, 32))}
    return GgufHeader(Path("some.gguf"), {"llama.context_length": 128} | metadata, tensors)


def mistral_metadata(source: SentencePieceProcessor) -> dict[str, Any]:
    """The metadata that llama.cpp writes for a SentencePiece model."""
    numbers = range(source.vocab_size())

    def kind(number: int) -> int:
        if source.is_unknown(number):
            return 2
        return 3 if source.is_control(number) else 6 if source.is_byte(number) else 1

    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tuple(source.id_to_piece(number) for number in numbers),
        "tokenizer.ggml.scores": tuple(source.get_score(number) for number in numbers),
        "tokenizer.ggml.token_type": tuple(kind(number) for number in numbers),
        "tokenizer.ggml.bos_token_id": source.bos_id(),
        "tokenizer.ggml.eos_token_id": source.eos_id(),
        "tokenizer.ggml.unknown_token_id": source.unk_id(),
    }


def test_mistral_tokens_are_those_of_sentencepiece(mistral: SentencePieceProcessor) -> None:
    """The real Mistral 7B v0.1 vocabulary: same ids as SentencePiece, and the text comes back."""
    built = build_tokenizer(header(mistral_metadata(mistral), mistral.vocab_size()))
    for text in TEXTS:
        ids = built.tokenizer.encode(text).ids
        assert ids == [mistral.bos_id(), *mistral.encode(text)]
        assert built.tokenizer.decode(ids) == text
    assert built.tokenizer.encode("</s>", add_special_tokens=False).ids == [mistral.eos_id()]
    assert built.config["bos_token"] == "<s>"
    assert built.token_ids == {"bos_token_id": 1, "eos_token_id": [2]}


def test_space_prefix_and_begin_token_follow_the_file(mistral: SentencePieceProcessor) -> None:
    """`add_space_prefix` and `add_bos_token` are applied, not assumed."""
    metadata = mistral_metadata(mistral) | {
        "tokenizer.ggml.add_space_prefix": False,
        "tokenizer.ggml.add_bos_token": False,
    }
    built = build_tokenizer(header(metadata, mistral.vocab_size()))
    encoded = built.tokenizer.encode("dog")
    assert encoded.tokens == ["dog"]
    assert built.tokenizer.decode(encoded.ids) == "dog"


@pytest.mark.parametrize(
    ("pre", "pieces", "bos"),
    [
        ("gpt-2", ["abc", "Ġ1234", "ĠDEF"], False),
        ("smollm", ["abc", "Ġ", "1", "2", "3", "4", "ĠDEF"], False),
        ("llama-bpe", ["abc", "Ġ", "123", "4", "ĠDEF"], True),
        ("tekken", ["abc", "Ġ", "1", "2", "3", "4", "ĠDEF"], True),
    ],
)
def test_words_are_split_as_each_family_does(pre: str, pieces: list[str], bos: bool) -> None:
    """Numbers tell the families apart; the end-of-turn token ends a reply too."""
    tokens = ("<b>", "<e>", "<t>", *"abcĠ1234DEF", "ab", "abc", "Ġ1", "Ġ12", "Ġ123", "Ġ1234", "12", "123",
              "1234", "ĠD", "ĠDE", "ĠDEF")  # fmt: skip
    merges = ("a b", "ab c", "Ġ 1", "Ġ1 2", "Ġ12 3", "Ġ123 4", "1 2", "12 3", "123 4", "Ġ D", "ĠD E", "ĠDE F")
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": (3, 3, 3) + (1,) * (len(tokens) - 3),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.eot_token_id": 2,
    }
    built = build_tokenizer(header(metadata, len(tokens)))
    assert built.tokenizer.encode("abc 1234 DEF").tokens == ["<b>"] * bos + pieces
    assert built.token_ids["eos_token_id"] == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer.ggml.eos_token_id": 999_999},
        {"tokenizer.ggml.scores": (0.0,)},
        {"tokenizer.ggml.token_type": (1, 1)},
        {"tokenizer.ggml.tokens": ("a", "a")},
        {"tokenizer.ggml.model": 7},
        {"tokenizer.chat_template": 1.5},
    ],
)
def test_contradictory_tokenizer_is_refused(mistral: SentencePieceProcessor, change: dict[str, Any]) -> None:
    """Lists of different length, ids outside them and values of the wrong kind never get through."""
    with pytest.raises(UserError, match=r"some\.gguf"):
        build_tokenizer(header(mistral_metadata(mistral) | change, mistral.vocab_size()))
