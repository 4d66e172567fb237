"""Mistral's real vocabularies as Hugging Face tokenizers, and Mistral's own library as their reference."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.model_folder.tokenizer import load_tokenizer
from tests.support.chat_forms import template

import mistral_common
from mistral_common.protocol.instruct.messages import AssistantMessage, UserMessage
from mistral_common.protocol.instruct.request import InstructRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.convert_slow_tokenizer import TikTokenConverter, generate_merges

DATA = Path(mistral_common.__file__).parent / "data"
FILES = {
    "mistral_v1": DATA / "tokenizer.model.v1",
    "mistral_v3": DATA / "mistral_instruct_tokenizer_240323.model.v3",
    "mistral_nemo": DATA / "tekken_240718.json",
}
_MESSAGES = {"user": UserMessage, "assistant": AssistantMessage}
Turns = Sequence[tuple[str, str]]


class Family:
    """One of `FILES`: its Hugging Face tokenizer, written and loaded, and Mistral's own one."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self._own = MistralTokenizer.from_file(str(FILES[name])).instruct_tokenizer
        folder.mkdir(parents=True)
        made = _tekken(self._own.tokenizer) if name == "mistral_nemo" else _sentencepiece(name)
        begin = ("<s>", made.token_to_id("<s>"))
        made.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [begin])
        made.save(str(folder / "tokenizer.json"))
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "clean_up_tokenization_spaces": False,
            "chat_template": template(name),
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        self.tokenizer = load_tokenizer(folder)

    def __repr__(self) -> str:
        return self.name

    def reference(self, turns: Turns, system: str | None = None) -> tuple[list[int], list[bool]]:
        """Return Mistral's own tokens of a conversation, and which of them its answers add."""
        tokens: list[int] = []
        trained: list[bool] = []
        for count, (role, _content) in enumerate(turns, start=1):
            messages = [_MESSAGES[role](content=content) for role, content in turns[:count]]
            request = InstructRequest[Any, Any](messages=messages, system_prompt=system)
            tokens = self._own.encode_instruct(request).tokens
            trained += [role == "assistant"] * (len(tokens) - len(trained))
        return tokens, trained


def _sentencepiece(name: str) -> Tokenizer:
    """The vocabulary of 7B v0.1 or v0.3: BPE by score, unknown characters as bytes."""
    source = SentencePieceProcessor(model_file=str(FILES[name]))
    pieces = {source.id_to_piece(number): number for number in range(source.vocab_size())}
    merges = generate_merges(pieces, {piece: source.get_score(number) for piece, number in pieces.items()})
    tokenizer = Tokenizer(models.BPE(pieces, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if name == "mistral_v1":  # a space before the text and after each control token
        steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        tokenizer.normalizer = normalizers.Sequence(steps)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    control = [piece for piece, number in pieces.items() if source.is_control(number)]
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in control])
    return tokenizer


def _tekken(own: Any) -> Tokenizer:
    """The vocabulary of Nemo: tiktoken's ranks behind a block of control tokens."""
    content = json.loads(FILES["mistral_nemo"].read_text(encoding="utf-8"))
    control = content["config"]["default_num_special_tokens"]
    size = content["config"]["default_vocab_size"] - control
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in content["vocab"][:size]}
    converter = TikTokenConverter(pattern=content["config"]["pattern"])
    converter.load_tiktoken_bpe = lambda _url: ranks
    vocabulary, merges = converter.extract_vocab_merges_from_model("")
    names = {own.id_to_piece(number): number for number in range(control)}
    shifted = {piece: rank + control for piece, rank in vocabulary.items()}
    tokenizer = Tokenizer(models.BPE(names | shifted, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(converter.pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in names])
    return tokenizer
