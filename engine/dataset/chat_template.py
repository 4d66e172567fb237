"""A model's chat template: conversations as text, and what of that text comes before an answer."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from engine.dataset.turns import Message
from engine.i18n import _
from engine.text import json_text, one_line

# What templates that write today's date are told: a run resumed tomorrow trains on the same tokens.
_DATE = datetime(2024, 7, 26)
_DIRECTIVES = ("A", "a", "B", "b", "d", "-d", "e", "m", "Y", "y", "j", "H", "I", "M", "S", "p")


Tools = Sequence[dict[str, Any]]
"""Functions that the assistant may call, in the form of chat templates."""


class TemplateError(Exception):
    """The chat template cannot render a row so that prompt and answer can be told apart."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix
        """What the user can do about it, as an imperative."""


class ChatTemplate:
    """Renders conversations with a tokenizer's template and refuses those it does not keep as they are."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def _source(self) -> str:
        source: str = self._tokenizer.get_chat_template()
        return _fixed_date() + source if "strftime_now" in source else source

    def render(self, messages: Sequence[Message], tools: Tools = (), generation: bool = False) -> str:
        """Return the text of `messages`, with the beginning of an answer if `generation`.

        Raises:
            TemplateError: the template refuses the conversation.
        """
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                list(messages),
                tools=list(tools) or None,
                chat_template=self._source,
                tokenize=False,
                add_generation_prompt=generation,
            )
        except Exception as error:  # templates raise whatever they like
            raise TemplateError(
                _("the chat template refuses it: {reason}").format(reason=one_line(str(error), 200)),
                _("change its turns as the template wants them, or drop the row"),
            ) from None
        return rendered

    def prompt(self, text: str, messages: Sequence[Message], index: int, tools: Tools = ()) -> str:
        """Return what generation feeds the model for the answer at `index`.

        Args:
            text: all `messages` rendered.
            messages: the conversation.
            index: of a turn of the assistant.
            tools: that it may call.

        Raises:
            TemplateError: `text` does not begin with it.
        """
        if index == 0:
            raise TemplateError(
                _("the answer comes before any question"), _("begin with a turn of the user or the system")
            )
        prompt = self.render(messages[:index], tools, generation=True)
        if not text.startswith(prompt):
            raise TemplateError(
                _("turn {number}: the chat template rewrites what comes before the answer").format(
                    number=index + 1
                ),
                _advice(messages),
            )
        return prompt

    def until(self, text: str, messages: Sequence[Message], index: int, tools: Tools = ()) -> str:
        """Return the conversation as it is when it stops after the turn at `index`."""
        return text if index == len(messages) - 1 else self.render(messages[: index + 1], tools)


def _fixed_date() -> str:
    """Return the beginning of a template in which `strftime_now` tells `_DATE`."""
    filters = "".join(f"|replace('%{name}', '{_DATE.strftime('%' + name)}')" for name in _DIRECTIVES)
    return "{%- macro strftime_now(format) -%}{{ format" + filters + " }}{%- endmacro -%}"


def _advice(messages: Sequence[Message]) -> str:
    """Say how to write a row whose answers do not follow what generation is fed."""
    if sum(turn["role"] == "assistant" for turn in messages) > 1:
        return _("write one question and one answer a row")
    if messages[0]["role"] == "system":
        return _("put the system's text into the question")
    return _("use a base model with another chat template")


def require_tools(text: str, messages: Sequence[Message], tools: Tools) -> None:
    """Check that the functions, and what they answered, stand in a conversation.

    Args:
        text: it is rendered as.
        messages: the conversation.
        tools: that the assistant may call.

    Raises:
        TemplateError: the template passes over them.
    """
    parts = [turn["content"] for turn in messages if turn["role"] == "tool"]
    parts += [str(tool["function"].get("name", "")) for tool in tools]
    if not all(part.strip() in text or json_text(part.strip())[1:-1] in text for part in parts):
        raise TemplateError(
            _("the chat template passes over tools or what they answer"),
            _("use a base model whose chat template knows tools, or drop the row"),
        )


def check_answer(text: str, prompt: str, until: str, answer: Message, number: int) -> None:
    """Check that an answer stands in a conversation as generation would write it.

    Args:
        text: the whole conversation.
        prompt: what comes before the answer.
        until: the conversation stopped at the answer's end.
        answer: the turn of the row; white space at its ends is the template's business.
        number: of the turn, from 1.

    Raises:
        TemplateError: the answer is changed, by the template itself or because turns follow it.
    """
    if not text.startswith(until):
        raise TemplateError(
            _("turn {number}: the chat template rewrites the answer when other turns follow").format(
                number=number
            ),
            _("write one question and one answer a row"),
        )
    written = "".join(until[len(prompt) :].split())
    if any("".join(part.split()) not in written for part in _parts_of(answer)):
        raise TemplateError(
            _("turn {number}: the chat template drops or changes a part of the answer").format(number=number),
            _("write the answer as the template keeps it, or use a base model with another chat template"),
        )


def _parts_of(answer: Message) -> list[str]:
    """Return the texts that must stand in an answer: what is said, and names and arguments of calls."""
    parts = [str(answer["content"])]
    for call in answer.get("tool_calls", ()):
        function = call["function"]
        values = [value for value in function["arguments"].values() if isinstance(value, str)]
        plain = [value for value in values if value.isprintable() and not set(value) & set('"\\')]
        parts += [function["name"], *function["arguments"], *plain]
    return parts
