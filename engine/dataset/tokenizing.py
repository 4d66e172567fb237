"""From rows to token sequences that know which of their tokens carry loss."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.chat_template import ChatTemplate, TemplateError, check_answer, require_tools
from engine.dataset.row import Row
from engine.dataset.turns import answers_of
from engine.errors import UserError
from engine.i18n import _
from engine.model.trust import refuse_code

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


def load_tokenizer(model_dir: Path) -> Any:
    """Load the fast tokenizer of a model folder; nothing in the folder is executed.

    Returns:
        A transformers tokenizer with offsets.

    Raises:
        UserError: the folder has no usable tokenizer, or one that is a program.
    """
    refuse_code(model_dir)
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
        self._template = ChatTemplate(tokenizer) if tokenizer.chat_template else None
        self._train_on_prompt = config.train_on_prompt
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self._start = [bos] if bos is not None and tokenizer("").input_ids[:1] == [bos] else []
        self._end = [eos] if eos is not None else []
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
        if self._template:
            return self._chat(self._template, row)
        return self._without_template(row)

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
        return self._example(line, tokens, trained, bool(self._end), shares_token)

    def _chat(self, template: ChatTemplate, row: Row) -> Example:
        """Tokenise the whole rendered conversation and find each answer's tokens in it."""
        messages, tools = row.messages, row.tools
        text = template.render(messages, tools)
        if tools or any(turn["role"] == "tool" for turn in messages):
            require_tools(text, messages, tools)
        known = tokens, spans = self._encode(text)
        trained = np.zeros(len(tokens), bool)
        ends_turn, shares_token = True, False
        for index in answers_of(messages):
            if index in row.untrained:
                continue
            prompt = template.prompt(text, messages, index, tools)
            until = template.until(text, messages, index, tools)
            end, has_mark = self._end_of_turn(until, *(known if until is text else self._encode(until)))
            check_answer(text, prompt, until[:end], messages[index], index + 1)
            begin, shares = self._split(tokens, spans, prompt)
            trained[begin : np.searchsorted(spans[:, 1], end, side="right")] = True
            ends_turn &= has_mark
            shares_token |= shares
        return self._example(row.line, tokens, trained, ends_turn, shares_token)

    def _end_of_turn(
        self, text: str, tokens: NDArray[np.int32], spans: NDArray[np.int64]
    ) -> tuple[int, bool]:
        """Return where the last turn of `text` ends, and whether it does so with a control token.

        That is after the first of the control tokens which close the text:
        further ones and white space belong to the template.
        """
        end, found = len(text), False
        for token, (start, stop) in zip(tokens[::-1].tolist(), spans[::-1].tolist(), strict=True):
            if token in self._special:
                end, found = stop, True
            elif text[start:stop].strip():
                break
        return end, found

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
