"""Small tokenizers of the kinds that llama.cpp knows, trained on a few sentences."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from engine.model.gguf_tokenizer import LLAMA3_WORDS, QWEN2_WORDS
from tests.support.tiny import CHATML

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TokenizerKind = Literal["llama3", "qwen2", "smollm", "gpt2", "first", "prepend"]
TEXTS = (
    "The quick brown fox jumps over the lazy dog. It's 12,345 metres; they'll be late, won't they?",
    "Qual é a capital de Portugal? São Paulo não é a capital do Brasil: é Brasília, à noite também.",
    "Grüße aus Köln, süße Äpfel für 3,50 € und größere Übungen – „schön“, sagte er.",
    "¿Dónde está el niño? Mañana comeré piñas y después iré al café.",
    "Où est l'élève naïf ? C'est là-bas, près du château, où l'on mange des crêpes à 20 h 30.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Η γρήγορη αλεπού πηδάει πάνω από τον σκύλο.",
    "敏捷的棕色狐狸跳过了懒狗。今天是2026年11月26日。",
    "いろはにほへと ちりぬるを。東京タワーは高いです。",
    "다람쥐 헌 쳇바퀴에 타고파.",
    "نص حكيم له سر قاطع وذو شأن عظيم",
    "दुनिया में हिंदी बोली जाती है।",
    "for (int i = 0; i < n; ++i) { total += prices[i] * 1.05; }\n\treturn total;\n",
    "Two  spaces,   three, and\ttabs\n\nblank lines\n\n\n  indented.",
    "e = mc², 10⁻³, ½, №5, 🙂👍🏽 and 👩‍👩‍👧",
    "HTTPServer_v2.0-beta+build.7 @user #tag http://example.org/?q=1&x=%20",
    " leading and trailing ",
    "\n",
    "a",
    "<0x41> [INST <s > </ s>",
)
"""In several languages and scripts; also what tokenizers are judged by."""
_SPACE = "▁"


def write_tokenizer_of(folder: Path, kind: TokenizerKind, template: str | None = CHATML) -> int:
    """Write `tokenizer.json` and `tokenizer_config.json` and return how many tokens there are.

    Args:
        folder: of the model.
        kind: byte-level BPE with the words of Llama 3, Qwen 2, SmolLM or GPT-2; or SentencePiece with a space
            before the text alone ("first") or before each piece of it ("prepend").
        template: of conversations.
    """
    is_bytes = kind not in ("first", "prepend")
    tokenizer = _byte_level(kind) if is_bytes else _sentencepiece(kind)
    named = {"bos_token": "<s>", "eos_token": "</s>"} | ({} if is_bytes else {"unk_token": "<unk>"})
    control = [*named.values(), "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]"]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    if not is_bytes:
        bos = ("<s>", tokenizer.token_to_id("<s>"))
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [bos])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", **named}
    if template:
        settings["chat_template"] = template
        settings["eos_token"] = "<|im_end|>" if "im_end" in template else "</s>"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return int(tokenizer.get_vocab_size())


def _byte_level(kind: TokenizerKind) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    words = {"llama3": LLAMA3_WORDS, "qwen2": QWEN2_WORDS}.get(kind)
    steps: list[pre_tokenizers.PreTokenizer] = []
    if kind == "smollm":
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    if words:
        steps.append(pre_tokenizers.Split(Regex(words), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words is None))
    tokenizer.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _sentencepiece(kind: TokenizerKind) -> Tokenizer:
    """Return BPE as SentencePiece makes it: any two pieces that make a third may be joined."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(vocab_size=360, show_progress=False, limit_alphabet=120)
    trained.train_from_iterator(TEXTS, trainer)
    numbers = trained.get_vocab()
    return sentencepiece(sorted(numbers, key=lambda piece: numbers[piece]), kind)


def sentencepiece(pieces: Sequence[str], kind: TokenizerKind) -> Tokenizer:
    """Return a tokenizer of these pieces, those that are joined first in front."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    known, rank = set(pieces), {piece: number for number, piece in enumerate(pieces)}
    pairs = [
        (rank[piece], cut, piece[:cut], piece[cut:])
        for piece in pieces
        for cut in range(1, len(piece))
        if piece[:cut] in known and piece[cut:] in known
    ]
    merges = [(left, right) for _rank, _cut, left, right in sorted(pairs)]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    if kind == "prepend":
        spaces = [normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)]
        tokenizer.normalizer = normalizers.Sequence(spaces)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer
