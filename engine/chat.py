"""Streaming replies of a base model, with or without the trained adapter."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.jsonl.turns import Message
from engine.files import read_given
from engine.i18n import _
from engine.project import Project
from engine.reply import ChatSettings, Replier, ReplyChunk, ReplyEnd

__all__ = [
    "ChatSession",
    "ChatSettings",
    "ReplyChunk",
    "ReplyEnd",
    "read_questions",
    "reading_words",
]


def reading_words(messages: Sequence[Message], share: float) -> str:
    """Say how far a model is with reading what it is to answer.

    Args:
        messages: that it reads.
        share: of their tokens that are read.
    """
    if len(messages) > 1:
        return _("reading the conversation: {share:.0%}").format(share=share)
    return _("reading the question: {share:.0%}").format(share=share)


def read_questions(project: Project) -> list[str]:
    """Return the lines of prompts.txt that are not blank; none where there is no such file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        lines = read_given(project.prompts_file).decode("utf-8", errors="replace").split("\n")  # as rows are
    except FileNotFoundError:
        return []
    return [line.strip() for line in lines if line.strip()]


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

        base = load_base(project.model_dir(model))
        trained = example_tokenizer(base.folder, TrainingConfig())
        if not adapter and project.found_adapter:
            adapter = project.adapters_dir
        self.adapter = adapter
        """Folder of the adapter to chat with; None where there is none."""
        self._adapter = load_adapter(base.model, adapter) if adapter else None
        base.model.eval()
        self._folder = base.folder
        settings = self._adapter.template_settings if self._adapter else {}
        self._replier = Replier(base, trained, settings, is_today=True)

    @property
    def context_length(self) -> int | None:
        """Most tokens of a conversation with its reply; None if the model names no limit."""
        return self._replier.context_length

    @property
    def has_adapter(self) -> bool:
        """Whether there is an adapter to chat with."""
        return self._adapter is not None

    @property
    def warning(self) -> str:
        """Why the adapter may answer badly, in a sentence; empty where nothing speaks for that."""
        return self._adapter.doubt(self._folder) if self._adapter else ""

    def check(self, messages: Sequence[Message]) -> None:
        """Refuse a conversation that cannot be answered; nothing is computed.

        Raises:
            ContextFull: it leaves the model no room for an answer.
            UserError: the chat template refuses it, or it is no text.
        """
        self._replier.prompt(messages)

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
        if self._adapter:
            self._adapter.turn(with_adapter)
        yield from self._replier.reply(messages, settings, stop, on_progress)
