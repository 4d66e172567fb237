"""From rows to texts with the places of their answers, in characters."""

from collections.abc import Iterable
from dataclasses import dataclass

from engine.dataset.batches.answer_spans import AnswerFinder, AnswerSpan
from engine.dataset.batches.chat_template import ChatTemplate, TemplateError, require_tools
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.turns import answers_of
from engine.i18n import _

PLAIN_SEPARATOR = "\n"
"""Without a chat template a question and its answer are joined by this."""


@dataclass(frozen=True)
class Text:
    """What becomes one example."""

    text: str
    answers: list[AnswerSpan]
    """Places of what is trained."""
    is_plain: bool = False
    """Whether it was written without a chat template."""


@dataclass(frozen=True)
class Rendered:
    """A row and its texts, or why it has none."""

    row: Row
    texts: list[Text]
    error: TemplateError | None = None


class RowRenderer:
    """Writes rows with a model's chat template, or without one."""

    def __init__(
        self,
        template: ChatTemplate | None,
        control: Iterable[str],
        stops: Iterable[str],
        mask_history: bool,
        train_added: bool,
    ) -> None:
        """Ready it.

        Args:
            template: of the model; None where it has none.
            control: its control tokens.
            stops: tokens at which generation stops.
            mask_history: train on the last answer of a conversation alone.
            train_added: train on what the template adds to an answer, too.
        """
        self.template = template
        self._mask_history = mask_history
        self._finder = AnswerFinder(template, control, stops, train_added) if template else None

    def end_mark(self) -> str:
        """Return the control token that ends an answer; nothing where there is none or it is not known."""
        return self._finder.end_mark() if self._finder else ""

    def ends_answers(self) -> bool:
        """Whether the chat template ends answers with a control token."""
        return self._finder is not None and self._finder.ends_answers()

    def render(self, row: Row) -> Rendered:
        """Return the texts of a row: one, or one for each answer, see `ExampleTokenizer.__call__`."""
        try:
            if row.text:
                return Rendered(row, [_plain("", row.text)])
            if self.template and self._finder:
                return Rendered(row, self._chat(self.template, self._finder, row))
            return Rendered(row, [_without_template(row)])
        except TemplateError as error:
            return Rendered(row, [], error)

    def _chat(self, template: ChatTemplate, finder: AnswerFinder, row: Row) -> list[Text]:
        """Render the whole conversation with the places of its answers, or one text for each answer."""
        messages, tools = row.messages, row.tools
        wanted = [index for index in answers_of(messages) if index not in row.untrained]
        if self._mask_history:
            wanted = wanted[-1:]
        found = [finder.locate(messages, index, tools) for index in wanted]
        is_last = wanted[-1] == len(messages) - 1
        text = found[-1].text if is_last else template.render(messages, tools)
        if tools or any(turn["role"] == "tool" for turn in messages):
            require_tools(template, text, messages, tools)
        if all(text.startswith(each.text[: each.answer.end]) for each in found):
            return [Text(text, [each.answer for each in found])]
        return [Text(each.text, [each.answer]) for each in found]


def _without_template(row: Row) -> Text:
    if [turn["role"] for turn in row.messages] != ["user", "assistant"] or row.tools:
        raise TemplateError(
            _("the model has no chat template for several turns"),
            _("write one prompt and one completion a row, or use a base model with a chat template"),
        )
    question, answer = (turn["content"] for turn in row.messages)
    return _plain(question + PLAIN_SEPARATOR, answer)


def _plain(prompt: str, answer: str) -> Text:
    text = prompt + answer
    return Text(text, [AnswerSpan(len(prompt), len(text), ends_turn=True)], is_plain=True)
