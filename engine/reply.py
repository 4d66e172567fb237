"""Replies of a model in memory, token by token: what the chat and a run that watches itself share."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from engine.chat_prompt import ChatPrompt
from engine.dataset.batches.chat_template import ChatTemplate
from engine.dataset.jsonl.turns import Message
from engine.model_folder.context_length import context_length
from engine.threads import adapt_threads

if TYPE_CHECKING:
    from engine.dataset.batches.tokenize import ExampleTokenizer
    from engine.model.loading import BaseModel

ReplyEnd = Literal["complete", "stopped", "length", "context"]
"""Why a reply ended: whole, on request, at `max_tokens`, or because the model takes no more."""


@dataclass(frozen=True)
class ChatSettings:
    """How a reply is drawn."""

    max_tokens: int = 256
    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    seed: int | None = None
    """Of the draws; None draws on from where the last reply ended."""


@dataclass(frozen=True)
class ReplyChunk:
    """A piece of a reply; the last one of a reply has its `end`."""

    text: str
    """New text since the chunk before."""
    tokens: int
    """Tokens generated so far."""
    tokens_per_second: float
    end: ReplyEnd | None = None


class Replier:
    """A model that answers. Make it and use it on one thread: MLX's streams belong to it."""

    def __init__(
        self,
        base: "BaseModel",
        trained: "ExampleTokenizer",
        settings: Mapping[str, Any],
        is_today: bool = False,
    ) -> None:
        """Ready it; replies end at the model's own stop tokens and where trained answers end.

        Args:
            base: the model, whose layers may have been replaced, and its tokenizer.
            trained: what makes examples for it.
            settings: variables of the chat template for the prompts that it is trained on.
            is_today: tell a template that asks for it today's date, and not the one of training.
        """
        from engine.model.prefill import PromptReader

        self._model, self._tokenizer = base.model, base.tokenizer
        if trained.end_mark:
            self._tokenizer.eos_token_ids |= {trained.token_id(trained.end_mark)}
        template = ChatTemplate(self._tokenizer, is_today) if trained.has_template else None
        self._prompt = ChatPrompt(
            self._tokenizer, template, trained.start_ids, context_length(base.folder), settings
        )
        self._reader = PromptReader(self._model)

    @property
    def context_length(self) -> int | None:
        """Most tokens of a conversation with its reply; None if the model names no limit."""
        return self._prompt.context_length

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Tokenise a conversation up to where the answer begins, if there is room for one.

        Raises:
            ContextFull: it leaves the model no room for an answer.
            UserError: the chat template refuses it, or it is no text.
        """
        return self._prompt.tokens(messages)

    def reply(
        self,
        messages: Sequence[Message],
        settings: ChatSettings,
        stop: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int, int], None] = lambda read, total: None,
    ) -> Iterator[ReplyChunk]:
        """Yield the model's next turn piece by piece, until it ends or `stop` says so.

        Args:
            messages: the conversation so far, ending with the user's turn.
            settings: length and temperature.
            stop: asked after every token and, while the prompt is read, several times a second.
            on_progress: told how many of the prompt's tokens are read, and how many there are.

        Raises:
            ContextFull: the conversation leaves the model no room for an answer.
            UserError: the chat template refuses the conversation, or it is no text.
        """
        from mlx_lm.models.cache import make_prompt_cache

        adapt_threads()
        prompt = self.prompt(messages)
        cache = make_prompt_cache(self._model)
        if self._read(prompt, cache, stop, on_progress):
            yield from self._generate(prompt, cache, settings, stop)
        else:
            yield ReplyChunk("", 0, 0.0, "stopped")

    def _read(
        self,
        prompt: list[int],
        cache: list[Any],
        stop: Callable[[], bool],
        on_progress: Callable[[int, int], None],
    ) -> bool:
        """Read all but the prompt's last token; False if that was stopped."""
        on_progress(0, len(prompt))
        if stop():
            return False
        for read in self._reader.read(prompt[:-1], cache):
            on_progress(read, len(prompt))
            if stop():
                return False
        return True

    def _generate(
        self, prompt: list[int], cache: list[Any], settings: ChatSettings, stop: Callable[[], bool]
    ) -> Iterator[ReplyChunk]:
        from engine.backend import mx

        from mlx_lm.generate import stream_generate
        from mlx_lm.sample_utils import make_sampler

        if settings.seed is not None:
            mx.random.seed(settings.seed)
        room = self.context_length - len(prompt) if self.context_length else settings.max_tokens
        generated = stream_generate(
            self._model,
            self._tokenizer,
            prompt[-1:],
            max_tokens=min(settings.max_tokens, room),
            sampler=make_sampler(temp=settings.temperature),
            prompt_cache=cache,
        )
        begin, tokens = time.monotonic(), 0
        end: ReplyEnd = "complete"
        for response in generated:
            tokens = response.generation_tokens
            yield ReplyChunk(response.text, tokens, response.generation_tps)
            if response.finish_reason == "length":
                end = "length" if tokens == settings.max_tokens else "context"
            elif not response.finish_reason and stop():
                end = "stopped"
                break
        seconds = time.monotonic() - begin
        yield ReplyChunk("", tokens, tokens / seconds if seconds else 0.0, end)
