"""From rows to token sequences that know which of their tokens carry loss."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.rows import Message, Row
from engine.errors import UserError
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

    def cut(self, length: int) -> "Example":
        """Return the example with at most its first `length` tokens."""
        if len(self.tokens) <= length:
            return self
        return replace(self, tokens=self.tokens[:length], trained=self.trained[:length])


class TemplateError(Exception):
    """The chat template cannot render a row so that prompt and answer can be told apart."""


def load_tokenizer(model_dir: Path) -> Any:
    """Load the fast tokenizer of a model folder; nothing in the folder is executed.

    Returns:
        A transformers tokenizer with offsets.

    Raises:
        UserError: the folder has no usable tokenizer.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoTokenizer  # slow to import: about a second

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(model_dir), local_files_only=True, trust_remote_code=False, use_fast=True
        )
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            _("Cannot load the tokenizer in {folder}: {reason}").format(folder=model_dir, reason=reason),
            _("copy tokenizer.json and tokenizer_config.json of the base model there"),
        ) from None
    if not tokenizer.is_fast:
        raise UserError(
            _("The tokenizer in {folder} cannot tell where a token lies in its text").format(
                folder=model_dir
            ),
            _("add the model's tokenizer.json"),
        )
    return tokenizer


class ExampleTokenizer:
    """Tokenises rows with a model's own tokenizer and chat template."""

    def __init__(self, tokenizer: Any, config: TrainingConfig) -> None:
        self._tokenizer = tokenizer
        self._train_on_prompt = config.train_on_prompt
        self._special = frozenset(tokenizer.all_special_ids) | frozenset(
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        )

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the model's control tokens."""
        return self._special

    def __call__(self, row: Row) -> Example:
        """Return the tokens of `row` and which of them carry loss.

        Raises:
            TemplateError: the template refuses the row, or rewrites what comes
                before an answer so that the answer cannot be found exactly.
        """
        if row.text:
            return self._plain(row.line, "", row.text)
        if self._tokenizer.chat_template:
            return self._chat(row.line, row.messages)
        return self._without_template(row)

    def _without_template(self, row: Row) -> Example:
        if [turn["role"] for turn in row.messages] != ["user", "assistant"]:
            raise TemplateError(_("the model has no chat template for several turns"))
        question, answer = (turn["content"] for turn in row.messages)
        return self._plain(row.line, question + PLAIN_SEPARATOR, answer)

    def _plain(self, line: int, prompt: str, answer: str) -> Example:
        """Tokenise text without a template: start token if the tokenizer has one, end token always."""
        tokens, starts = self._encode(prompt + answer)
        trained = starts >= len(prompt)
        shares_token = not self._begins_with(tokens[~trained], prompt)
        head = [self._tokenizer.bos_token_id] if self._adds_bos() else []
        tail = [self._tokenizer.eos_token_id] if self._tokenizer.eos_token_id is not None else []
        tokens = np.concatenate([head, tokens, tail]).astype(np.int32)
        trained = np.concatenate([np.zeros(len(head), bool), trained, np.ones(len(tail), bool)])
        return self._example(line, tokens, trained, bool(tail), shares_token)

    def _adds_bos(self) -> bool:
        bos = self._tokenizer.bos_token_id
        return bos is not None and self._tokenizer("").input_ids[:1] == [bos]

    def _chat(self, line: int, messages: Sequence[Message]) -> Example:
        """Tokenise the whole rendered conversation and find each answer's span in it."""
        text = self._render(messages, generation=False)
        tokens, starts = self._encode(text)
        trained = np.zeros(len(tokens), bool)
        ends_turn, shares_token = True, False
        for index, turn in enumerate(messages):
            if turn["role"] == "assistant":
                begin, end = self._answer_span(text, messages, index)
                shares_token |= not self._begins_with(tokens[: np.searchsorted(starts, begin)], text[:begin])
                span = np.flatnonzero((starts >= begin) & (starts < end))
                marks = [position for position in span if int(tokens[position]) in self._special]
                ends_turn = bool(marks)
                # What follows the end-of-turn mark, such as a line break, is the template's.
                trained[span[span <= marks[-1]] if marks else span] = True
        return self._example(line, tokens, trained, ends_turn, shares_token)

    def _answer_span(self, text: str, messages: Sequence[Message], index: int) -> tuple[int, int]:
        """Return begin and end of an answer as character positions in the rendered `text`."""
        before = self._render(messages[:index], generation=True)
        last = index == len(messages) - 1
        until = text if last else self._render(messages[: index + 1], generation=False)
        if not (text.startswith(before) and text.startswith(until) and len(before) < len(until)):
            raise TemplateError(_("the chat template rewrites what comes before the answer"))
        return len(before), len(until)

    def _render(self, messages: Sequence[Message], generation: bool) -> str:
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=generation
            )
        except Exception as error:  # templates raise whatever they like
            raise TemplateError(
                _("the chat template refuses it: {reason}").format(reason=one_line(str(error), 200))
            ) from None
        return rendered

    def _begins_with(self, tokens: NDArray[np.int32], prompt: str) -> bool:
        """Whether `tokens`, cut out of a longer text, are those of `prompt` alone."""
        return np.array_equal(tokens, self._encode(prompt)[0])

    def _encode(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return token ids and the character position at which each token begins."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = np.array(encoded["offset_mapping"], np.int64).reshape(-1, 2)
        return np.array(encoded["input_ids"], np.int32), offsets[:, 0]

    def _example(
        self,
        line: int,
        tokens: NDArray[np.int32],
        trained: NDArray[np.bool_],
        ends_turn: bool,
        shares_token: bool,
    ) -> Example:
        if self._train_on_prompt:
            trained = np.ones(len(tokens), bool)
        if len(trained):
            trained[0] = False  # nothing comes before it to predict it from
        return Example(line, tokens, trained, ends_turn, shares_token)
