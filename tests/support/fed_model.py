"""What a chat session gives its model: tokens and tokenizer. Nothing is computed and no reply comes."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from engine.chat import ChatSession, ChatSettings
from engine.dataset.jsonl.turns import Message
from engine.model.prefill import PromptReader

import pytest


class FedModel:
    """Stands in the place of the reader of prompts and of mlx-lm's generation."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.tokens: list[int] = []
        self.tokenizer: Any = None
        patch.setattr(PromptReader, "read", self._read)
        module = sys.modules["mlx_lm.generate"]  # its name is hidden by a function of the package
        patch.setattr(module, "stream_generate", self._generate)

    def ask(self, session: ChatSession, messages: Sequence[Message]) -> str:
        """Return the text that the model of a session is given."""
        self.tokens.clear()
        list(session.reply(messages, ChatSettings(1)))
        return str(self.tokenizer.decode(self.tokens))

    def _read(self, tokens: Sequence[int], _cache: list[Any]) -> Iterator[int]:
        self.tokens += tokens
        yield len(tokens)

    def _generate(self, _model: Any, tokenizer: Any, tokens: list[int], **_options: Any) -> Iterator[Any]:
        self.tokenizer = tokenizer
        self.tokens += tokens
        return iter(())
