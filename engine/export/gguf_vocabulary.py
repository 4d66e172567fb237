"""A model's tokenizer, stop tokens and chat template in the terms of a GGUF file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.errors import UserError
from engine.i18n import _
from engine.model.gguf_tokenizer import LLAMA3_WORDS, QWEN2_WORDS, TEKKEN_WORDS
from engine.model_folder.tokenizer import load_tokenizer

from gguf import GGUFWriter, TokenType

_SPACE = "▁"
_WORDS = {LLAMA3_WORDS: "llama-bpe", QWEN2_WORDS: "qwen2", TEKKEN_WORDS: "tekken"}
"""llama.cpp's name of each pattern that splits a text into words."""
_CONTROL_SCORE = 0.0
_HARMLESS = {"NFC"}
"""Changes to a text before it is split that leave texts as people type them alone."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model and what is said of them."""

    model: str
    """"gpt2" for byte-level BPE, "llama" for SentencePiece."""
    words: str
    """How a text is split into words, by llama.cpp's name."""
    tokens: tuple[str, ...]
    types: tuple[TokenType, ...]
    merges: tuple[str, ...]
    """Pairs in the order of their rank; of byte-level BPE only."""
    scores: tuple[float, ...]
    """Of SentencePiece only: what is joined first has the higher one."""
    adds_space: bool
    """Whether a space is put before each text."""
    adds_bos: bool
    """Whether llama.cpp puts the start token before a text. A chat template writes its own."""
    bos: int | None
    eos: int | None
    eot: int | None
    """The token that ends an answer, where it is another than `eos`."""
    unknown: int | None
    pad: int | None
    template: str
    """Of conversations, jinja; empty where there is none."""
    stops: tuple[str, ...]
    """Texts of the tokens at which answers end."""

    def describe(self, writer: GGUFWriter) -> None:
        """Write the fields of the header."""
        writer.add_vocab_size(len(self.tokens))
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.words)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.merges:
            writer.add_token_merges(self.merges)
        if self.scores:
            writer.add_token_scores(self.scores)
            writer.add_add_space_prefix(self.adds_space)
        for number, add in (
            (self.bos, writer.add_bos_token_id),
            (self.eos, writer.add_eos_token_id),
            (self.eot, writer.add_eot_token_id),
            (self.unknown, writer.add_unk_token_id),
            (self.pad, writer.add_pad_token_id),
        ):
            if number is not None:
                add(number)
        writer.add_add_bos_token(self.adds_bos)
        writer.add_add_eos_token(False)
        if self.template:
            writer.add_chat_template(self.template)


def read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    """Read the tokenizer of a model folder.

    Args:
        folder: of the model.
        rows: vectors of its embedding; what the tokenizer has no token for is filled up.

    Raises:
        UserError: llama.cpp has no tokenizer that splits texts so.
    """
    tokenizer = load_tokenizer(folder)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    model = content["model"]
    if model.get("type") != "BPE":
        raise _unknown(folder, str(model.get("type")))
    tokens = _listed(folder, content, rows)
    merges = [tuple(pair.split(" ", 1)) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    is_bytes = not model.get("byte_fallback")
    if not is_bytes and not _joins_all(content, merges):
        raise _unknown(folder, _("some of its pieces are only joined in one order"))
    trained = example_tokenizer(folder, TrainingConfig())
    end = trained.token_id(trained.end_mark) if trained.end_mark else None
    template = tokenizer.chat_template
    return Vocabulary(
        model="gpt2" if is_bytes else "llama",
        words=_words(folder, content) if is_bytes else "default",
        tokens=tokens,
        types=_types(tokens, content, is_bytes),
        merges=tuple(" ".join(pair) for pair in merges) if is_bytes else (),
        scores=() if is_bytes else _scores(tokens, merges),
        adds_space=not is_bytes and _adds_space(content, bool(template)),
        adds_bos=not template and bool(trained.start_ids),
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id if tokenizer.eos_token_id is not None else end,
        eot=end if end != tokenizer.eos_token_id else None,
        unknown=tokenizer.unk_token_id,
        pad=tokenizer.pad_token_id,
        template=template.get("default", "") if isinstance(template, dict) else template or "",
        stops=tuple(sorted(trained.stop_marks | ({trained.end_mark} if trained.end_mark else set()))),
    )


def _listed(folder: Path, content: dict[str, Any], rows: int) -> tuple[str, ...]:
    """Return the tokens by their numbers; llama.cpp's converter names those that are filled up so too."""
    added = {item["content"]: item["id"] for item in content["added_tokens"]}
    pieces = dict(content["model"]["vocab"]) | added
    if max(pieces.values(), default=-1) >= rows:
        raise UserError(
            _("The tokenizer in {folder} is larger than the vocabulary of its model").format(folder=folder),
            _("take the tokenizer's files from where the model came from"),
        )
    names = {number: piece for piece, number in pieces.items()}
    return tuple(names.get(number, f"[PAD{number}]") for number in range(rows))


def _types(tokens: Sequence[str], content: dict[str, Any], is_bytes: bool) -> tuple[TokenType, ...]:
    """Return what each token is, as llama.cpp numbers it."""
    added = {item["content"]: item["special"] for item in content["added_tokens"]}
    known = set(content["model"]["vocab"]) | set(added)
    unknown = content["model"].get("unk_token")

    def kind(token: str) -> TokenType:
        if token not in known:
            return TokenType.UNUSED
        if token == unknown and not is_bytes:
            return TokenType.UNKNOWN
        if token in added:
            return TokenType.CONTROL if added[token] else TokenType.USER_DEFINED
        is_byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">") and not is_bytes
        return TokenType.BYTE if is_byte else TokenType.NORMAL

    return tuple(map(kind, tokens))


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, ...]]) -> tuple[float, ...]:
    """Return SentencePiece's scores: what becomes of a pair that is joined earlier has the higher one."""
    ranks: dict[str, int] = {}
    for rank, pair in enumerate(merges):
        ranks.setdefault("".join(pair), rank)
    return tuple(float(-1 - ranks[token]) if token in ranks else _CONTROL_SCORE for token in tokens)


def _joins_all(content: dict[str, Any], merges: Sequence[tuple[str, ...]]) -> bool:
    """Whether any two pieces that make a third are joined, as SentencePiece and llama.cpp do."""
    listed, added = set(merges), {item["content"] for item in content["added_tokens"]}
    pieces = set(content["model"]["vocab"]) - added
    halves = ((piece[:cut], piece[cut:]) for piece in pieces for cut in range(1, len(piece)))
    return all(pair in listed for pair in halves if pair[0] in pieces and pair[1] in pieces)


def _words(folder: Path, content: dict[str, Any]) -> str:
    """Return llama.cpp's name for how a byte-level tokenizer splits a text into words."""
    steps = _steps(content.get("pre_tokenizer"), "pretokenizers")
    kinds = [step.get("type") for step in steps]
    normalizers = {step.get("type") for step in _steps(content.get("normalizer"), "normalizers")}
    if changed := normalizers - _HARMLESS:
        raise _unknown(folder, ", ".join(sorted(map(str, changed))))
    if any(step.get("type") == "ByteLevel" and step.get("add_prefix_space", True) for step in steps):
        raise _unknown(folder, "add_prefix_space")
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        pattern = steps[0].get("pattern", {}).get("Regex")
        if found := _WORDS.get(pattern):
            return found
    raise _unknown(folder, ", ".join(map(str, kinds)))


def _unknown(folder: Path, what: str) -> UserError:
    return UserError(
        _("The tokenizer in {folder} splits texts as llama.cpp does not ({what})").format(
            folder=folder, what=what
        ),
        _("export it with --to mlx or --to peft"),
    )


def _adds_space(content: dict[str, Any], has_template: bool) -> bool:
    """Whether a space is put before each piece of a text, also after a control token, as llama.cpp does it.

    A tokenizer that puts one before the whole text alone puts none into a conversation, which begins with
    a control token.
    """
    steps = _steps(content.get("normalizer"), "normalizers") + _steps(
        content.get("pre_tokenizer"), "pretokenizers"
    )
    kinds = {(step.get("type"), step.get("prepend_scheme")) for step in steps}
    is_first = ("Metaspace", "first") in kinds and not has_template
    return is_first or ("Prepend", None) in kinds or ("Metaspace", "always") in kinds


def _steps(content: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    return [] if content is None else list(content.get(name, [content]))
