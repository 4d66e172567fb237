"""How an answer ends under a chat template: with a mark of its own, or with that of the next turn."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.dataset.batches.chat_template import ChatTemplate, TemplateError
from engine.dataset.jsonl.turns import Message


@dataclass(frozen=True)
class LastTurn:
    """The last turn of a rendered conversation, an answer, in characters."""

    text: str
    words_end: int
    """After the last character that is no white space and no control token."""
    end: int
    """After the first of the control tokens that close the text; its length where there is none."""
    ends_turn: bool


class TurnEnds:
    """Finds the marks with which turns end under one chat template."""

    def __init__(self, template: ChatTemplate, control: Iterable[str], stops: Iterable[str]) -> None:
        """Ready it.

        Args:
            template: writes the conversations.
            control: the model's control tokens, as text.
            stops: those of them at which generation stops.
        """
        self._template = template
        self._control = frozenset(control)
        self._stops = frozenset(stops)
        self._lengths = sorted({len(mark) for mark in self._control}, reverse=True)
        self._next = self._mark_between(probe("a", "b"), probe("a", "b", "c"))
        self._next_of_call = self._mark_between(*_call())

    def last_turn(self, text: str, calls: bool = False) -> LastTurn:
        """See how a conversation ends that stops after an answer; what follows its mark is the template's.

        Args:
            text: the conversation. Without a mark of its own it goes on with that of the next turn,
                where generation stops at that.
            calls: whether the answer calls a tool.
        """
        return self._ended(text, self._next_of_call if calls else self._next)

    def mark_before(self, text: str) -> str:
        """Return the control token that a text ends with; nothing where it ends with none."""
        for length in self._lengths:
            if text[-length:] in self._control:
                return text[-length:]
        return ""

    def _ended(self, text: str, following: str) -> LastTurn:
        rest, end = text.rstrip(), 0
        while mark := self.mark_before(rest):
            end, rest = len(rest), rest[: -len(mark)].rstrip()
        if not end:
            text += following
        return LastTurn(text, len(rest), end or len(text), bool(end or following))

    def _mark_between(self, short: list[Message], long: list[Message]) -> str:
        """Return the stop token between a conversation and its next turn, where no mark ends it."""
        try:
            before, after = self._template.render(short), self._template.render(long)
        except TemplateError:  # such a template has no such turns
            return ""
        if self._ended(before, "").ends_turn or not after.startswith(before):
            return ""
        rest = after[len(before) :].lstrip()
        return next((rest[:length] for length in self._lengths if rest[:length] in self._stops), "")


def probe(*texts: str) -> list[Message]:
    """Return turns of the user and the assistant, one after the other."""
    roles = ("user", "assistant")
    return [{"role": roles[index % 2], "content": text} for index, text in enumerate(texts)]


def _call() -> tuple[list[Message], list[Message]]:
    """Return a conversation that ends with a call of a tool, and the same with its result."""
    call = {"type": "function", "id": "1", "function": {"name": "f", "arguments": {}}}
    called = [*probe("a"), {"role": "assistant", "content": "", "tool_calls": [call]}]
    return called, [*called, {"role": "tool", "content": "r", "tool_call_id": "1", "name": "f"}]
