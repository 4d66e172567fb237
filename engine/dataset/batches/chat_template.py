"""A model's chat template: conversations as text."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from typing import Any

from engine.dataset.jsonl.turns import Message
from engine.i18n import _
from engine.sanitize import json_text, one_line

# What templates that write today's date are told: a run resumed tomorrow trains on the same tokens.
_DATE = datetime(2024, 7, 26)
_DIRECTIVES = ("A", "a", "B", "b", "d", "-d", "e", "m", "Y", "y", "j", "H", "I", "M", "S", "p")
_TIMES = 20
"""A template that draws one of two words writes the same so often once in half a million times."""
NO_THINKING = {"enable_thinking": False}
"""What templates of models that can think, or not, read where they shall not."""


Tools = Sequence[dict[str, Any]]
"""Functions that the assistant may call, in the form of chat templates."""


class TemplateError(Exception):
    """A row cannot be written so that its answers can be told apart exactly."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix
        """What the user can do about it, as an imperative."""


class UnknownToken(TemplateError):
    """The model has no vector for a token of a row."""


class ToolsLost(TemplateError):
    """A chat template leaves out tools, calls of them or what they answered."""

    def __init__(self, problem: str, missing: Iterable[str]) -> None:
        shown = one_line(", ".join(dict.fromkeys(missing)), 80)
        fix = _("use a base model whose chat template knows tools, or drop the row")
        super().__init__(f"{problem}: {shown}", fix)


class ChatTemplate:
    """Renders conversations with a tokenizer's template."""

    def __init__(self, tokenizer: Any, is_today: bool = False) -> None:
        """Take the template of a tokenizer.

        Args:
            tokenizer: of transformers, with a chat template.
            is_today: tell a template that asks for it today's date, and not the one of training.
        """
        self._tokenizer = tokenizer
        self._is_today = is_today

    def render(
        self, messages: Sequence[Message], tools: Tools = (), generation: bool = False, **settings: Any
    ) -> str:
        """Return the text of `messages`, with the beginning of an answer if `generation`.

        Args:
            messages: the conversation.
            tools: that the assistant may call.
            generation: add what generation is fed before an answer.
            settings: further variables of the template, such as `NO_THINKING`.

        Raises:
            TemplateError: the template refuses the conversation.
        """
        try:
            return self._render(
                self._with_tools if tools else self._usual,
                list(messages),
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=generation,
                **self._tokens,
                **settings,
            )
        except Exception as error:  # templates raise whatever they like
            raise TemplateError(
                _("the chat template refuses it: {reason}").format(reason=one_line(str(error), 200)),
                _("change its turns as the template wants them, or drop the row"),
            ) from None

    def is_steady(self, messages: Sequence[Message]) -> bool:
        """Whether a conversation, and what generation is fed, come out the same each time.

        Args:
            messages: the conversation; one that the template refuses tells nothing.
        """
        for generation in (False, True):
            with suppress(TemplateError):
                if len({self.render(messages, generation=generation) for _again in range(_TIMES)}) > 1:
                    return False
        return True

    def knows(self, settings: Iterable[str]) -> bool:
        """Whether the template reads one of some variables."""
        return any(name in source for name in settings for source in (self._usual, self._with_tools))

    @cached_property
    def _render(self) -> Callable[..., str]:
        from engine.model_folder.template_sandbox import render  # jinja takes its time

        return render

    @cached_property
    def _tokens(self) -> dict[str, Any]:
        return dict(self._tokenizer.special_tokens_map)

    @cached_property
    def _usual(self) -> str:
        return self._dated(self._tokenizer.get_chat_template())

    @cached_property
    def _with_tools(self) -> str:
        """The template of its own that some models have for rows with tools."""
        return self._dated(self._tokenizer.get_chat_template(tools=[{}]))

    def _dated(self, source: str) -> str:
        return source if self._is_today or "strftime_now" not in source else _fixed_date() + source


def _fixed_date() -> str:
    """Return the beginning of a template in which `strftime_now` tells `_DATE`."""
    filters = "".join(f"|replace('%{name}', '{_DATE.strftime('%' + name)}')" for name in _DIRECTIVES)
    return "{%- macro strftime_now(format) -%}{{ format" + filters + " }}{%- endmacro -%}"


def require_tools(template: ChatTemplate, text: str, messages: Sequence[Message], tools: Tools) -> None:
    """Check that the functions, and what they answered, stand in a conversation.

    Args:
        template: of the model.
        text: the conversation is rendered as.
        messages: the conversation.
        tools: that the assistant may call.

    Raises:
        TemplateError: the template passes over them.
    """
    names = [str(tool["function"].get("name", "")) for tool in tools]
    answers = [turn["content"] for turn in messages if turn["role"] == "tool"]
    asked = messages[: next((i for i, turn in enumerate(messages) if turn["role"] == "assistant"), 0)]
    # A name may well stand in the conversation by itself.
    takes_tools = not tools or template.render(asked, tools) != template.render(asked)
    missing = names if not takes_tools else [name for name in names if not _stands(name, text)]
    if missing:
        raise ToolsLost(_("the chat template passes over tools that may be called"), missing)
    if missing := [part for part in answers if not _stands(part, text)]:
        raise ToolsLost(_("the chat template passes over what tools answered"), missing)


def _stands(part: str, text: str) -> bool:
    """Whether a part stands in a text, as it is or as JSON."""
    return part.strip() in text or json_text(part.strip())[1:-1] in text
