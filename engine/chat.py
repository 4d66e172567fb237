"""Streaming replies of a base model, with or without the trained adapter."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.chat_prompt import ChatPrompt
from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import ChatTemplate
from engine.dataset.jsonl.turns import Message
from engine.i18n import _
from engine.model_folder.context_length import context_length
from engine.project import Project

if TYPE_CHECKING:
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


def reading_words(messages: Sequence[Message], share: float) -> str:
    """Say how far a model is with reading what it is to answer.

    Args:
        messages: that it reads.
        share: of their tokens that are read.
    """
    if len(messages) > 1:
        return _("reading the conversation: {share:.0%}").format(share=share)
    return _("reading the question: {share:.0%}").format(share=share)


class ChatSession:
    """A loaded model that answers. Make it and use it on one thread: MLX's streams belong to it."""

    def __init__(self, project: Project, model: str = "", adapter: Path | None = None) -> None:
        """Load the base model `model` (the first one if empty) and an adapter, if there is one.

        Replies end at the model's own stop tokens and at the one with which trained answers end.

        Args:
            project: whose models and adapter these are.
            model: name of the base model's folder.
            adapter: folder of one of mlx-lm's or PEFT's form; None takes what is in `adapters/`.

        Raises:
            UserError: the model or the adapter cannot be loaded.
        """
        from engine.dataset.inspect.model_tokens import example_tokenizer
        from engine.model.adapter import load_adapter
        from engine.model.loading import load_base
        from engine.model.prefill import PromptReader

        self._base: BaseModel = load_base(project.model_dir(model))
        trained = example_tokenizer(self._base.folder, TrainingConfig())
        if trained.end_mark:
            self._base.tokenizer.eos_token_ids |= {trained.token_id(trained.end_mark)}
        if not adapter and project.found_adapter:
            adapter = project.adapters_dir
        self.adapter = adapter
        """Folder of the adapter to chat with; None where there is none."""
        self._adapter = load_adapter(self._base.model, adapter) if adapter else None
        self._prompt = ChatPrompt(
            self._base.tokenizer,
            ChatTemplate(self._base.tokenizer, is_today=True) if trained.has_template else None,
            trained.start_ids,
            context_length(self._base.folder),
            self._adapter.template_settings if self._adapter else {},
        )
        self._base.model.eval()
        self._reader = PromptReader(self._base.model)

    @property
    def has_adapter(self) -> bool:
        """Whether there is an adapter to chat with."""
        return self._adapter is not None

    @property
    def warning(self) -> str:
        """Why the adapter may answer badly, in a sentence; empty where nothing speaks for that."""
        return self._adapter.doubt(self._base.folder) if self._adapter else ""

    @property
    def context_length(self) -> int | None:
        """Most tokens of a conversation with its reply; None if the model names no limit."""
        return self._prompt.context_length

    def check(self, messages: Sequence[Message]) -> None:
        """Refuse a conversation that cannot be answered; nothing is computed.

        Raises:
            ContextFull: it leaves the model no room for an answer.
            UserError: the chat template refuses it, or it is no text.
        """
        self._prompt.tokens(messages)

    def reply(
        self,
        messages: Sequence[Message],
        settings: ChatSettings,
        with_adapter: bool = True,
        stop: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int, int], None] = lambda read, total: None,
    ) -> Iterator[ReplyChunk]:
        """Yield the model's next turn piece by piece, until it ends or `stop` says so.

        Args:
            messages: the conversation so far, ending with the user's turn.
            settings: length and temperature.
            with_adapter: False answers as the base model does.
            stop: asked after every token and, while the prompt is read, several times a second.
            on_progress: told how many of the prompt's tokens are read, and how many there are.

        Raises:
            ContextFull: the conversation leaves the model no room for an answer.
            UserError: the chat template refuses the conversation, or it is no text.
        """
        from mlx_lm.models.cache import make_prompt_cache

        if self._adapter:
            self._adapter.turn(with_adapter)
        prompt = self._prompt.tokens(messages)
        cache = make_prompt_cache(self._base.model)
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
            self._base.model,
            self._base.tokenizer,
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
