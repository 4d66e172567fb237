"""Streaming replies of a base model, with or without the trained adapter."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from engine.dataset.tokenizing import PLAIN_SEPARATOR
from engine.dataset.turns import Message
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.text import one_line

if TYPE_CHECKING:
    from engine.model.loading import BaseModel


@dataclass(frozen=True)
class ChatSettings:
    """How a reply is drawn."""

    max_tokens: int = 256
    temperature: float = 0.0
    """0 takes the likeliest token each time."""


@dataclass(frozen=True)
class ReplyChunk:
    """A piece of a reply; the last one of a reply has `finished` set."""

    text: str
    """New text since the chunk before."""
    tokens: int
    """Tokens generated so far."""
    tokens_per_second: float
    finished: bool


class ChatSession:
    """A loaded model that answers. Make it and use it on one thread: MLX's streams belong to it."""

    def __init__(self, project: Project, model: str = "") -> None:
        """Load the base model `model` (the first one if empty) and the run's best adapter, if any.

        Raises:
            UserError: the model or the adapter cannot be loaded.
        """
        from engine.model.adapter import WEIGHTS, load_adapter
        from engine.model.loading import load_base

        self._base: BaseModel = load_base(project.model_dir(model))
        adapter = project.adapters_dir
        self.has_adapter = (adapter / WEIGHTS).is_file()
        """Whether there is an adapter to chat with."""
        self._adapter = load_adapter(self._base.model, adapter) if self.has_adapter else None
        self._base.model.eval()

    def reply(
        self,
        messages: Sequence[Message],
        settings: ChatSettings,
        with_adapter: bool = True,
        stop: Event | None = None,
    ) -> Iterator[ReplyChunk]:
        """Yield the model's next turn piece by piece, until it ends or `stop` is set.

        Args:
            messages: the conversation so far, ending with the user's turn.
            settings: length and temperature.
            with_adapter: False answers as the base model does.
            stop: set it to end the reply early.

        Raises:
            UserError: the chat template refuses the conversation.
        """
        from mlx_lm.generate import stream_generate
        from mlx_lm.sample_utils import make_sampler

        if self._adapter:
            self._adapter.turn(with_adapter)
        prompt = self._prompt(messages)
        sampler = make_sampler(temp=settings.temperature)
        begin, tokens = time.monotonic(), 0
        generated = stream_generate(
            self._base.model, self._base.tokenizer, prompt, max_tokens=settings.max_tokens, sampler=sampler
        )
        for response in generated:
            tokens = response.generation_tokens
            yield ReplyChunk(response.text, tokens, response.generation_tps, finished=False)
            if stop is not None and stop.is_set():
                break
        seconds = time.monotonic() - begin
        yield ReplyChunk("", tokens, tokens / seconds if seconds else 0.0, finished=True)

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokenise the conversation up to where the answer begins; a date in the template is today's."""
        tokenizer: Any = self._base.tokenizer
        if not tokenizer.chat_template:
            text = "".join(turn["content"] + PLAIN_SEPARATOR for turn in messages)
            return list(tokenizer.encode(text))
        try:
            text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        except Exception as error:  # templates raise whatever they like
            raise UserError(
                _("The model's chat template refuses the conversation: {reason}").format(
                    reason=one_line(str(error), 200)
                ),
                _("begin a new conversation"),
            ) from None
        return list(tokenizer.encode(text, add_special_tokens=False))
