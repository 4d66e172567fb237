"""From the tokenizer in a GGUF header to `tokenizer.json` and `tokenizer_config.json`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from engine.files import sync, write_json
from engine.i18n import _
from engine.model.gguf_header import GgufHeader
from engine.sanitize import one_line

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

_SPACE = "▁"
"""How SentencePiece writes a space inside a token."""
_LONGEST_PIECE = 512
"""Characters; longer SentencePiece tokens are not found in real files and cost quadratic time."""

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")
TEKKEN_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class _Kind(IntEnum):
    """What a token is, as GGUF numbers it."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    BYTE = 6


@dataclass(frozen=True)
class _Vocabulary:
    """The tokens of a file, checked."""

    ids: dict[str, int]
    kinds: tuple[int, ...]

    def of_kind(self, kind: _Kind) -> list[str]:
        return [token for token, number in zip(self.ids, self.kinds, strict=True) if number == kind]


@dataclass(frozen=True)
class ImportedTokenizer:
    """A tokenizer and what goes with it into the model folder."""

    tokenizer: Tokenizer
    config: dict[str, Any]
    """Content of `tokenizer_config.json`."""
    token_ids: dict[str, Any]
    """`bos_token_id` and `eos_token_id` (all ids that end a reply) for `config.json`."""

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`."""
        self.tokenizer.save(str(folder / "tokenizer.json"))
        sync(folder / "tokenizer.json")
        write_json(folder / "tokenizer_config.json", self.config)


def build_tokenizer(header: GgufHeader) -> ImportedTokenizer:
    """Build the tokenizer that the metadata of a GGUF file describes.

    Raises:
        UserError: it is of an unknown kind, incomplete or contradictory.
    """
    vocabulary = _vocabulary(header)
    kind = header.text("tokenizer.ggml.model")
    if kind == "gpt2":
        tokenizer, starts_with_bos = _byte_level(header, vocabulary)
    elif kind == "llama":
        tokenizer, starts_with_bos = _sentencepiece(header, vocabulary), True
    else:
        header.refuse(
            _("its tokenizer is '{name}'").format(name=one_line(kind, 40)),
            _("choose a model with a byte-level BPE or SentencePiece tokenizer"),
        )
    _add_special_tokens(tokenizer, vocabulary)
    special = _special_tokens(header, list(vocabulary.ids))
    _frame(tokenizer, header, special, starts_with_bos)
    return ImportedTokenizer(tokenizer, _tokenizer_config(header, special), _token_ids(header, special))


def _vocabulary(header: GgufHeader) -> _Vocabulary:
    tokens = header.items("tokenizer.ggml.tokens", str)
    kinds = header.items("tokenizer.ggml.token_type", int)
    ids = {token: number for number, token in enumerate(tokens)}
    rows = header.tensors["token_embd.weight"].shape[0]
    if len(ids) != len(tokens) or len(kinds) != len(tokens) or len(tokens) > rows or "" in ids:
        header.refuse(_("its list of tokens is contradictory"))
    return _Vocabulary(ids, kinds)


def _byte_level(header: GgufHeader, vocabulary: _Vocabulary) -> tuple[Tokenizer, bool]:
    """Return a GPT-2-style tokenizer, and whether its texts usually start with the BOS token."""
    words = header.text("tokenizer.ggml.pre")
    pattern = {"llama-bpe": LLAMA3_WORDS, "tekken": TEKKEN_WORDS}.get(words)
    if pattern is None and words not in ("gpt-2", "smollm"):
        header.refuse(
            _("its tokenizer splits words in the unknown way '{name}'").format(name=one_line(words, 40)),
            _("choose a Llama 3, Mistral or SmolLM2 model"),
        )
    merges = [tuple(merge.split(" ")) for merge in header.items("tokenizer.ggml.merges", str)]
    if not all(len(pair) == 2 and {*pair, "".join(pair)} <= vocabulary.ids.keys() for pair in merges):
        header.refuse(_("its tokenizer merges tokens that are not in its list"))
    tokenizer = Tokenizer(models.BPE(vocabulary.ids, merges, ignore_merges=pattern is not None))
    tokenizer.pre_tokenizer = _word_splitter(words, pattern)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, pattern is not None


def _word_splitter(words: str, pattern: str | None) -> pre_tokenizers.PreTokenizer:
    steps: list[pre_tokenizers.PreTokenizer] = []
    if words == "smollm":
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    if pattern is not None:
        steps.append(pre_tokenizers.Split(Regex(pattern), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None))
    return pre_tokenizers.Sequence(steps)


def _sentencepiece(header: GgufHeader, vocabulary: _Vocabulary) -> Tokenizer:
    """Return a Llama-2-style tokenizer: BPE over characters, unknown ones as single bytes."""
    unknown = vocabulary.of_kind(_Kind.UNKNOWN)
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary.ids,
            _merges(header, vocabulary),
            unk_token=unknown[0] if unknown else None,
            fuse_unk=True,
            byte_fallback=bool(vocabulary.of_kind(_Kind.BYTE)),
        )
    )
    spaces = normalizers.Replace(" ", _SPACE)
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if header.flag("tokenizer.ggml.add_space_prefix", True):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), spaces])
        steps.append(decoders.Strip(" ", 1, 0))
    else:
        tokenizer.normalizer = normalizers.Sequence([spaces])
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _merges(header: GgufHeader, vocabulary: _Vocabulary) -> list[tuple[str, str]]:
    """Return the pairs that SentencePiece would join, the best score of the result first."""
    scores = header.items("tokenizer.ggml.scores", float)
    pieces = {token: vocabulary.ids[token] for token in vocabulary.of_kind(_Kind.NORMAL)}
    if len(scores) != len(vocabulary.ids) or max(map(len, pieces), default=0) > _LONGEST_PIECE:
        header.refuse(_("its list of tokens is contradictory"))
    ranked = [
        (-scores[number], pieces[piece[:cut]], pieces[piece[cut:]], piece[:cut], piece[cut:])
        for piece, number in pieces.items()
        for cut in range(1, len(piece))
        if piece[:cut] in pieces and piece[cut:] in pieces
    ]
    return [(left, right) for *_rank, left, right in sorted(ranked)]


def _add_special_tokens(tokenizer: Tokenizer, vocabulary: _Vocabulary) -> None:
    control = vocabulary.of_kind(_Kind.UNKNOWN) + vocabulary.of_kind(_Kind.CONTROL)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    given = vocabulary.of_kind(_Kind.USER_DEFINED)
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in given])


def _special_tokens(header: GgufHeader, tokens: Sequence[str]) -> dict[str, str]:
    """Return the tokens with a role, by transformers' name of the role."""
    roles = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    found = {}
    for role, key in roles.items():
        name = f"tokenizer.ggml.{key}_token_id"
        if role == "eos_token" or name in header.metadata:
            found[role] = tokens[_token_id(header, name, len(tokens))]
    return found


def _token_id(header: GgufHeader, key: str, count: int) -> int:
    number = header.integer(key)
    if number >= count:
        header.refuse(_("its {key} is {value}").format(key=key, value=number))
    return number


def _frame(tokenizer: Tokenizer, header: GgufHeader, special: dict[str, str], bos: bool) -> None:
    """Make the tokenizer put the begin and end tokens around a text where the file asks for them."""
    begins = header.flag("tokenizer.ggml.add_bos_token", bos) and "bos_token" in special
    first = [special["bos_token"]] if begins else []
    last = [special["eos_token"]] if header.flag("tokenizer.ggml.add_eos_token", False) else []
    if first or last:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[*first, "$A", *last],
            pair=[*first, "$A", *last, *first, "$B", *last],
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in first + last],
        )


def _tokenizer_config(header: GgufHeader, special: dict[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "model_max_length": header.integer("llama.context_length"),
        "clean_up_tokenization_spaces": False,
    }
    if "tokenizer.chat_template" in header.metadata:
        config["chat_template"] = header.text("tokenizer.chat_template")
    return config


def _token_ids(header: GgufHeader, special: dict[str, str]) -> dict[str, Any]:
    ends = [header.integer("tokenizer.ggml.eos_token_id")]
    if "tokenizer.ggml.eot_token_id" in header.metadata:
        ends.append(header.integer("tokenizer.ggml.eot_token_id"))
    ids: dict[str, Any] = {"eos_token_id": sorted(set(ends))}
    if "bos_token" in special:
        ids["bos_token_id"] = header.integer("tokenizer.ggml.bos_token_id")
    return ids
