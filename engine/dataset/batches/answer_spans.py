"""Where in a conversation's text the answers lie, as generation would write them after what it is fed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.dataset.batches.chat_template import NO_THINKING, ChatTemplate, TemplateError, Tools, ToolsLost
from engine.dataset.batches.turn_ends import LastTurn, TurnEnds, probe
from engine.dataset.jsonl.turns import Message
from engine.i18n import _

_OPENS = re.compile(r"<[^<>/]*think[^<>/]*>\s*", re.IGNORECASE)
"""The mark with which a thought begins."""
_CLOSES = re.compile(r"</[^<>]*think[^<>]*>\s*", re.IGNORECASE)
_PROMPT_OPENS = re.compile(rf"{_OPENS.pattern}\Z", re.IGNORECASE)
THOUGHT_MARK = re.compile(rf"{_OPENS.pattern}|{_CLOSES.pattern}", re.IGNORECASE)
"""Either of the two."""
_EMPTY = re.compile(rf"\s*{_OPENS.pattern}{_CLOSES.pattern}", re.IGNORECASE)
"""A thought without words."""


@dataclass(frozen=True)
class AnswerSpan:
    """One answer in a text: what is trained of it, in characters."""

    begin: int
    end: int
    """After the mark that ends the turn, if there is one."""
    ends_turn: bool
    """Whether a control token ends it."""
    added: str = ""
    """What the template writes between prompt and answer: the model sees it and is not trained on it."""
    opened: str = ""
    """What generation begins an answer with, and this one does not have."""
    thinks: bool = True
    """Whether its prompt is the usual one, and not that of a model that shall not think."""


@dataclass(frozen=True)
class Located:
    """A conversation up to one of its answers, as generation would see it."""

    text: str
    answer: AnswerSpan


class AnswerFinder:
    """Finds answers under one chat template."""

    def __init__(
        self,
        template: ChatTemplate,
        control: Iterable[str],
        stops: Iterable[str] = (),
        train_added: bool = False,
    ) -> None:
        """Ready it.

        Args:
            template: writes the conversations.
            control: the model's control tokens, as text.
            stops: those of them at which generation stops.
            train_added: train on what the template adds to an answer, too.
        """
        self._template = template
        self._train_added = train_added
        self._ends = TurnEnds(template, control, stops)

    def locate(self, messages: Sequence[Message], index: int, tools: Tools = ()) -> Located:
        """Return the conversation up to the answer at `index`, and where in it the answer lies.

        Args:
            messages: the conversation.
            index: of a turn of the assistant, not the first turn.
            tools: that it may call.

        Raises:
            TemplateError: the template changes the answer, or writes what comes before it otherwise
                than generation is fed it.
        """
        text = self._template.render(messages[: index + 1], tools)
        turn = self._ends.last_turn(text, calls=bool(messages[index].get("tool_calls")))
        prompt = self._template.render(messages[:index], tools, generation=True)
        words = _words(messages[index])
        begin = turn.words_end - len(words)
        is_usual = turn.text.startswith(prompt) and words and turn.text.startswith(words, begin)
        if is_usual and begin >= len(prompt) and not turn.text[len(prompt) : begin].strip():
            return Located(turn.text, AnswerSpan(len(prompt), turn.end, turn.ends_turn))
        return self._search(messages[: index + 1], tools, turn, prompt)

    def end_mark(self) -> str:
        """Return the control token that ends an answer; nothing where there is none or it is not known."""
        try:
            found = self.locate(probe("a", "b"), 1)
        except TemplateError:
            return ""
        return self._ends.mark_before(found.text[: found.answer.end].rstrip())

    def ends_answers(self) -> bool:
        """Whether a control token ends answers; also where a short conversation does not tell."""
        try:
            return self.locate(probe("a", "b"), 1).answer.ends_turn
        except TemplateError:
            return True

    def _search(self, messages: Sequence[Message], tools: Tools, turn: LastTurn, prompt: str) -> Located:
        """Look for the answer in the whole turn: the template adds to it, or generation begins otherwise."""
        text, answer, number = turn.text, messages[-1], len(messages)
        turn_begin = self._turn_begin(messages, tools, text, prompt)
        if not text.startswith(prompt[:turn_begin]):
            raise _rewritten(messages, number)
        if not _holds(text[turn_begin:], {**answer, "content": ""}):
            lost = _("turn {number}: the chat template leaves out calls of tools").format(number=number)
            raise ToolsLost(lost, (call["function"]["name"] for call in answer["tool_calls"]))
        if not _holds(text[turn_begin:], answer):
            return _continued(turn, prompt, str(answer["content"]), number)
        shared = _shared(prompt, text)
        quiet = 0 if self._train_added else self._fed_without_thinking(messages, tools, text)
        fed = max(shared if shared == len(prompt) else 0, quiet)
        start = _start(turn, answer, turn_begin, fed or shared)
        base = fed or min(shared, start)
        is_added = bool(text[base:start].strip()) and not self._train_added
        begin = start if is_added else base
        empty_thought = _EMPTY.search(text, turn_begin, begin)
        return Located(
            text,
            AnswerSpan(
                begin,
                turn.end,
                turn.ends_turn,
                added=(empty_thought[0] if empty_thought else text[min(shared, begin) : begin]).strip(),
                opened=_opened(prompt[shared:] if not fed else "", prompt, is_added, quiet),
                thinks=quiet <= shared,
            ),
        )

    def _turn_begin(self, messages: Sequence[Message], tools: Tools, text: str, prompt: str) -> int:
        """Return from where in a prompt on it may be part of the answer's turn."""
        if text.startswith(prompt):
            opening = _PROMPT_OPENS.search(prompt)
            return opening.start() if opening else len(prompt)
        return _shared(self._template.render(messages[:-1], tools), prompt)

    def _fed_without_thinking(self, messages: Sequence[Message], tools: Tools, text: str) -> int:
        """Return how much of the text generation is fed if the model shall not think; 0 if it is another."""
        if not self._template.knows(NO_THINKING) or _CLOSES.search(messages[-1]["content"]):
            return 0
        prompt = self._template.render(messages[:-1], tools, generation=True, **NO_THINKING)
        return len(prompt) if text.startswith(prompt) else 0


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts have in common from the beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _words(answer: Message) -> str:
    """Return what an answer begins and ends with; nothing where templates may write it otherwise."""
    content = str(answer["content"]).strip()
    return "" if answer.get("tool_calls") or _CLOSES.search(content) else content


def _opened(missing: str, prompt: str, is_added: bool, quiet: int) -> str:
    """Return what generation begins an answer with and this one does not have.

    Args:
        missing: what of the prompt does not stand in the text.
        prompt: of generation.
        is_added: whether the template ends a thought at once that the prompt begins.
        quiet: how much a prompt has that asks for no thoughts; 0 if there is none.
    """
    opening = _PROMPT_OPENS.search(prompt) if is_added and not quiet else None
    return (opening[0] if opening else missing).strip()


def _start(turn: LastTurn, answer: Message, turn_begin: int, usual: int) -> int:
    """Return where an answer's own text begins; `usual` where that cannot be known."""
    words, content = _words(answer), str(answer["content"])
    found = turn.words_end - len(words)
    if words and not turn.text.startswith(words, found):
        found = turn.text.rfind(words, turn_begin, turn.end)
    if words and found >= 0:
        blank = content[: len(content) - len(content.lstrip())]  # the template may have kept it
        return found - len(blank) if turn.text.endswith(blank, 0, found) else found
    empty = _EMPTY.match(turn.text, usual) if answer.get("tool_calls") else None
    return empty.end() if empty else usual


def _holds(written: str, answer: Message) -> bool:
    """Whether all that an answer says stands in its turn, white space aside."""
    written = "".join(written.split())
    return all("".join(part.split()) in written for part in _parts_of(answer))


def _parts_of(answer: Message) -> list[str]:
    """Return what must stand in an answer: what is thought and said, names and arguments of calls."""
    parts = THOUGHT_MARK.split(str(answer["content"]))
    for call in answer.get("tool_calls", ()):
        function = call["function"]
        values = [value for value in function["arguments"].values() if isinstance(value, str)]
        plain = [value for value in values if value.isprintable() and not set(value) & set('"\\')]
        parts += [function["name"], *function["arguments"], *plain]
    return parts


def _continued(turn: LastTurn, prompt: str, content: str, number: int) -> Located:
    """Return what generation is fed and an answer with its thought, which the template drops when it is over.

    Raises:
        TemplateError: generation does not begin with a thought, or more than that is missing.
    """
    marks = list(_CLOSES.finditer(content))
    opened = _OPENS.match(content.lstrip())
    body = content.lstrip()[opened.end() :] if opened else content.lstrip()
    said = content[marks[-1].end() :].strip() if marks else ""
    if not said or not _PROMPT_OPENS.search(prompt) or not turn.text[: turn.words_end].endswith(said):
        raise TemplateError(
            _("turn {number}: the chat template drops or changes a part of the answer").format(number=number),
            _("write the answer as the template keeps it, or use a base model with another chat template"),
        )
    text = prompt + body.rstrip()
    end = len(text) + turn.end - turn.words_end
    return Located(text + turn.text[turn.words_end :], AnswerSpan(len(prompt), end, turn.ends_turn))


def _rewritten(messages: Sequence[Message], number: int) -> TemplateError:
    fix = _("use a base model with another chat template")
    if messages[0]["role"] == "system":
        fix = _("put the system's text into the question")
    return TemplateError(
        _("turn {number}: the chat template rewrites what comes before the answer").format(number=number), fix
    )
