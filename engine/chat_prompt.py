"""What a model is given before it answers: the conversation in its template, as tokens, if they have room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import units
from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import ChatTemplate, TemplateError
from engine.dataset.batches.render import PLAIN_SEPARATOR
from engine.dataset.jsonl.turns import Message
from engine.errors import UserError
from engine.i18n import _
from engine.model_folder.context_length import context_length
from engine.model_folder.panics import refused_panics

_ROOM_FOR_TEMPLATE = 1000
"""Tokens that no chat template adds to a conversation by itself."""


class ContextFull(UserError):
    """A prompt that leaves the model no room for an answer."""

    def __init__(self, tokens: int, limit: int, is_grown: bool, turns: int = 1) -> None:
        """Say so with the numbers.

        Args:
            tokens: of the prompt.
            limit: tokens that the model takes.
            is_grown: whether the last question would have room in a conversation of its own.
            turns: of the prompt.
        """
        self.is_grown = is_grown
        what = _("The conversation") if is_grown or turns > 1 else _("The question")
        super().__init__(
            _("{what} has {tokens}, and this model takes {limit:,} with the answer").format(
                what=what, tokens=units.tokens(tokens), limit=limit
            ),
            _("begin a new conversation") if is_grown else _("ask something shorter"),
        )


@dataclass(frozen=True)
class ChatPrompt:
    """Turns conversations into tokens up to where the answer begins, as they were trained."""

    tokenizer: Any
    """Of transformers or mlx-lm."""
    template: ChatTemplate | None
    """None joins questions and answers by line breaks."""
    start_ids: Sequence[int]
    """Tokens that a text without a template begins with."""
    context_length: int | None
    """Most tokens of a conversation with its reply; None if the model names no limit."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Variables of the chat template."""

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Return the tokens of a conversation.

        Raises:
            ContextFull: they leave the model no room for an answer.
            UserError: the chat template refuses the conversation, or it is no text.
        """
        prompt, limit = self._tokens(messages), self.context_length
        if limit and len(prompt) >= limit:
            fits_alone = len(messages) > 1 and len(self._tokens(messages[-1:])) < limit
            raise ContextFull(len(prompt), limit, is_grown=fits_alone, turns=len(messages))
        return prompt

    def _tokens(self, messages: Sequence[Message]) -> list[int]:
        text = self._text(messages)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(
                _("The conversation holds bytes that are no text"), _("write the question in UTF-8")
            ) from None
        with refused_panics(_("Splitting the conversation into tokens")):
            tokens = list(self.tokenizer.encode(text, add_special_tokens=False))
        is_begun = self.template or tokens[: len(self.start_ids)] == list(self.start_ids)
        return tokens if is_begun else [*self.start_ids, *tokens]

    def _text(self, messages: Sequence[Message]) -> str:
        """Return the text of the tokens; a date in the template is today's."""
        if not self.template:
            return "".join(turn["content"] + PLAIN_SEPARATOR for turn in messages)
        try:
            return self.template.render(messages, generation=True, **self.settings)
        except TemplateError as error:
            raise UserError(
                _("The conversation cannot go on so: {reason}").format(reason=error),
                _("begin a new conversation"),
            ) from None


def prompt_of(folder: Path) -> ChatPrompt:
    """Return how the base model in a folder is asked, without loading the model.

    Raises:
        UserError: its tokenizer or chat template cannot be used.
    """
    from engine.dataset.inspect.model_tokens import example_tokenizer
    from engine.model_folder.tokenizer import load_tokenizer

    trained, tokenizer = example_tokenizer(folder, TrainingConfig()), load_tokenizer(folder)
    template = ChatTemplate(tokenizer, is_today=True) if trained.has_template else None
    return ChatPrompt(tokenizer, template, trained.start_ids, context_length(folder))


def may_be_too_long(messages: Sequence[Message], limit: int | None) -> bool:
    """Whether a conversation may leave no room for an answer; a token is a byte at least.

    Args:
        messages: the conversation.
        limit: tokens that the model takes; None for no limit.
    """
    most = sum(len(turn["content"].encode(errors="replace")) + 1 for turn in messages)
    return limit is not None and most + _ROOM_FOR_TEMPLATE >= limit
