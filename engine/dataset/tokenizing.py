"""From rows to token sequences that know which of their tokens carry loss."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.answers import THOUGHT_MARK, Answer, AnswerFinder
from engine.dataset.chat_template import ChatTemplate, TemplateError, require_tools
from engine.dataset.row import Row
from engine.dataset.turns import answers_of
from engine.i18n import _
from engine.text import one_line

import numpy as np
from numpy.typing import NDArray

# Without a chat template a question and its answer are joined by this.
PLAIN_SEPARATOR = "\n"


@dataclass(frozen=True)
class Example:
    """One row as the model sees it, before truncation."""

    line: int
    """Line of the row in its file."""
    tokens: NDArray[np.int32]
    """Shape (length,)."""
    trained: NDArray[np.bool_]
    """Shape (length,): whether the token is a target of the loss. Never true for the first."""
    ends_turn: bool
    """Whether the last trained token is a control token that ends the answer."""
    shares_token: bool = False
    """Whether prompt and answer melt in a token: generation is then fed other tokens than were trained."""
    added: str = ""
    """What the chat template writes before an answer that is not trained, see `Answer.added`."""
    opened: str = ""
    """What generation begins an answer with that this one does not have, see `Answer.opened`."""
    thinks: bool = True
    """Whether an answer has the usual prompt, see `Answer.thinks`."""

    def cut(self, length: int) -> "Example":
        """Return the example with at most its first `length` tokens."""
        if len(self.tokens) <= length:
            return self
        return replace(self, tokens=self.tokens[:length], trained=self.trained[:length])


class UnknownToken(TemplateError):
    """The model has no vector for a token of a row."""


class ExampleTokenizer:
    """Tokenises rows with a model's own tokenizer and chat template."""

    def __init__(
        self,
        tokenizer: Any,
        config: TrainingConfig,
        stops: Iterable[int] = (),
        vocabulary: int | None = None,
    ) -> None:
        """Ready it.

        Args:
            tokenizer: of transformers, see `engine.model_folder.tokenizer.load_tokenizer`.
            config: of the run.
            stops: tokens at which generation stops.
            vocabulary: how many tokens the model has vectors for; None where that is not known.
        """
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._train_on_prompt = config.train_on_prompt
        self._mask_history = config.mask_history
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self._start = [bos] if bos is not None and tokenizer("").input_ids[:1] == [bos] else []
        self._end = [eos] if eos is not None else []
        self._special = frozenset(tokenizer.all_special_ids) | frozenset(
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        )
        control = [text for text in _texts(tokenizer, self._special) if text]
        self._control = re.compile(
            "|".join(map(re.escape, sorted(control, key=len, reverse=True))) or r"(?!)"
        )
        self._stops = frozenset(_texts(tokenizer, stops))
        self._template = ChatTemplate(tokenizer) if tokenizer.chat_template else None
        self._answers: AnswerFinder | None = None
        if self._template:
            added = config.train_on_template_text
            self._answers = AnswerFinder(self._template, control, self._stops, added)

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the model's control tokens."""
        return self._special

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        return self._template is not None

    @property
    def stop_marks(self) -> frozenset[str]:
        """Tokens at which generation stops."""
        return self._stops

    @property
    def end_mark(self) -> str:
        """The control token that ends an answer; nothing where there is none or it is not known."""
        return self._answers.end_mark() if self._answers else self._tokenizer.eos_token or ""

    def token_id(self, mark: str) -> int:
        """Return the number of a token in the model's vocabulary."""
        return int(self._tokenizer.convert_tokens_to_ids(mark))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens."""
        return str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def __call__(self, row: Row) -> tuple[Example, ...]:
        """Return the tokens of `row` and which of them carry loss.

        One example, or one for each answer where the chat template writes a conversation otherwise
        once it goes on: each is then what generation is fed, and the answer.

        Raises:
            TemplateError: the template refuses the row, or rewrites it so that an answer cannot be
                found exactly, or the model has no vector for one of its tokens.
        """
        if row.text:
            return (self._plain(row.line, "", row.text),)
        if self._answers and self._template:
            return self._chat(self._template, self._answers, row)
        return (self._without_template(row),)

    def control_text(self, row: Row) -> str:
        """Return the first control token that stands in a row's turns as text; nothing where none does.

        A row of plain text may well be a whole conversation with its control tokens, and thoughts
        are written between marks that some tokenizers count to them.
        """
        for turn in row.messages:
            for found in self._control.finditer(turn["content"]):
                if not THOUGHT_MARK.match(found[0]):
                    return found[0]
        return ""

    def _without_template(self, row: Row) -> Example:
        if [turn["role"] for turn in row.messages] != ["user", "assistant"] or row.tools:
            raise TemplateError(
                _("the model has no chat template for several turns"),
                _("write one prompt and one completion a row, or use a base model with a chat template"),
            )
        question, answer = (turn["content"] for turn in row.messages)
        return self._plain(row.line, question + PLAIN_SEPARATOR, answer)

    def _plain(self, line: int, prompt: str, answer: str) -> Example:
        """Tokenise text without a template, between start token (if the tokenizer has one) and end token.

        Neither is written twice where the text has it already.
        """
        tokens, spans = self._encode(prompt + answer)
        begin, shares_token = self._split(tokens, spans, prompt)
        head = self._start if tokens[:1].tolist() != self._start else []
        tail = self._end if tokens[-1:].tolist() != self._end else []
        tokens = np.concatenate([head, tokens, tail]).astype(np.int32)
        trained = np.arange(len(tokens)) >= len(head) + begin
        return self._example(line, tokens, trained, ends_turn=bool(self._end), shares_token=shares_token)

    def _chat(self, template: ChatTemplate, finder: AnswerFinder, row: Row) -> tuple[Example, ...]:
        """Tokenise the rendered conversation, or one for each answer, and find the answers' tokens in it."""
        messages, tools = row.messages, row.tools
        wanted = [index for index in answers_of(messages) if index not in row.untrained]
        if self._mask_history:
            wanted = wanted[-1:]
        found = [finder.locate(messages, index, tools) for index in wanted]
        is_last = wanted[-1] == len(messages) - 1
        text = found[-1].text if is_last else template.render(messages, tools)
        if tools or any(turn["role"] == "tool" for turn in messages):
            require_tools(text, messages, tools)
        if all(text.startswith(each.text[: each.answer.end]) for each in found):
            return (self._answered(row.line, text, [each.answer for each in found]),)
        return tuple(self._answered(row.line, each.text, [each.answer]) for each in found)

    def _answered(self, line: int, text: str, answers: Sequence[Answer]) -> Example:
        """Tokenise a text with the places of its answers in characters."""
        tokens, spans = self._encode(text)
        trained = np.zeros(len(tokens), bool)
        shares_token = False
        for answer in answers:
            begin, shares = self._split(tokens, spans, text[: answer.begin])
            # A control token may take the white space after it along.
            ends = spans[:, 0] if answer.ends_turn else spans[:, 1] - 1
            trained[begin : np.searchsorted(ends, answer.end)] = True
            shares_token |= shares
        return self._example(
            line,
            tokens,
            trained,
            ends_turn=all(answer.ends_turn for answer in answers),
            shares_token=shares_token,
            added=next((answer.added for answer in answers if answer.added), ""),
            opened=next((answer.opened for answer in answers if answer.opened), ""),
            thinks=any(answer.thinks for answer in answers),
        )

    def _split(self, tokens: NDArray[np.int32], spans: NDArray[np.int64], prompt: str) -> tuple[int, bool]:
        """Return the index of the first token after `prompt`, and whether one lies across the border."""
        before, _spans = self._encode(prompt)
        if np.array_equal(tokens[: len(before)], before):
            return len(before), False
        ends = np.append(0, spans[:, 1])
        within = int(np.searchsorted(ends[1:], len(prompt), side="right"))
        # A token that begins before the border, or in white space that its tokenizer counts to no token.
        return within + int(ends[within] < len(prompt)), True

    def _encode(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return token ids, and begin and end of each token in `text`, shape (length, 2)."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = np.array(encoded["offset_mapping"], np.int64).reshape(-1, 2)
        return np.array(encoded["input_ids"], np.int32), spans

    def _example(
        self, line: int, tokens: NDArray[np.int32], trained: NDArray[np.bool_], **facts: Any
    ) -> Example:
        if (
            self._vocabulary is not None
            and len(tokens)
            and (highest := int(tokens.max())) >= self._vocabulary
        ):
            raise UnknownToken(
                _("token {id} ({text}) is none of the model's, which are 0 to {last}").format(
                    id=highest,
                    text=one_line(repr(self._tokenizer.convert_ids_to_tokens(highest)), 40),
                    last=self._vocabulary - 1,
                ),
                _("use the tokenizer that belongs to the base model"),
            )
        if self._train_on_prompt:
            trained = np.ones(len(tokens), bool)
        if len(trained):
            trained[0] = False  # nothing comes before it to predict it from
        return Example(line, tokens, trained, **facts)


def _texts(tokenizer: Any, ids: Iterable[int]) -> list[str]:
    """Return tokens as text; numbers that the tokenizer does not know are left out."""
    found = tokenizer.convert_ids_to_tokens([index for index in ids if 0 <= index < len(tokenizer)])
    return [text for text in found if isinstance(text, str)]
