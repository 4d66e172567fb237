"""From rows to token sequences that know which of their tokens carry loss."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.batches.answer_spans import THOUGHT_MARK
from engine.dataset.batches.chat_template import ChatTemplate, TemplateError, UnknownToken
from engine.dataset.batches.encode import TextEncoder, Tokens, texts_of, tokens_of
from engine.dataset.batches.render import Rendered, RowRenderer, Text
from engine.dataset.jsonl.row import Row
from engine.i18n import _
from engine.model_folder.panics import refused_panics
from engine.model_folder.stops import NO_STOPS, StopTokens
from engine.sanitize import one_line

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

_BATCH_ROWS = 256
_BATCH_CHARACTERS = 1 << 20
"""Of the rows that are encoded at a time."""


@dataclass(frozen=True)
class Example:
    """One row as the model sees it, before truncation."""

    line: int
    """Line of the row in its file."""
    tokens: NDArray[np.int32]
    """Shape (length,)."""
    trained: NDArray[np.bool_]
    """Shape (length,): whether the loss counts the token in full. Never true for the first."""
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


class ExampleTokenizer:
    """Tokenises rows with a model's own tokenizer and chat template."""

    def __init__(
        self,
        tokenizer: Any,
        config: TrainingConfig,
        stops: StopTokens = NO_STOPS,
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
        self.vocabulary = vocabulary
        """How many tokens the model has vectors for; None where that is not known."""
        self._train_on_prompt = config.prompt_loss_weight == 1
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        with refused_panics(_("Splitting a text into tokens")):
            begins = bos is not None and tokenizer("").input_ids[:1] == [bos]
        self.start_ids = [bos] if begins else []
        """Tokens that the tokenizer puts before a text by itself."""
        self._end = [eos] if eos is not None else []
        self.special_ids = frozenset(tokenizer.all_special_ids) | frozenset(
            index for index, token in tokenizer.added_tokens_decoder.items() if token.special
        )
        """Ids of the model's control tokens."""
        self.stops = stops
        """At what generation stops, and what the model's files name so in vain."""
        self.stop_marks = frozenset(texts_of(tokenizer, stops.ids))
        """Tokens at which generation stops."""
        self._encoder = TextEncoder(tokenizer, self.special_ids)
        self._renderer = RowRenderer(
            ChatTemplate(tokenizer) if tokenizer.chat_template else None,
            self._encoder.control,
            self.stop_marks,
            config.mask_history,
            config.train_on_template_text,
        )
        self.ends_answers = self._renderer.ends_answers() if self.has_template else bool(self._end)
        """Whether an end token follows the answers of conversations."""

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        return self._renderer.template is not None

    @property
    def end_mark(self) -> str:
        """The control token that ends an answer; nothing where there is none or it is not known."""
        return self._renderer.end_mark() if self.has_template else self._tokenizer.eos_token or ""

    def token_id(self, mark: str) -> int:
        """Return the number of a token in the model's vocabulary."""
        return int(self._tokenizer.convert_tokens_to_ids(mark))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens."""
        with refused_panics(_("Reading tokens as text")):
            return str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def __call__(self, row: Row) -> tuple[Example, ...]:
        """Return the tokens of `row` and which of them carry loss.

        One example, or one for each answer where the chat template writes a conversation otherwise
        once it goes on: each is then what generation is fed, and the answer.

        Raises:
            TemplateError: the template refuses the row, or rewrites it so that an answer cannot be
                found exactly, or the model has no vector for one of its tokens.
        """
        ((_row, made),) = self.many([row])
        if isinstance(made, TemplateError):
            raise made
        return made

    def many(self, rows: Iterable[Row]) -> Iterator[tuple[Row, tuple[Example, ...] | TemplateError]]:
        """Yield each row with its examples, or with why it has none, see `__call__`.

        Some hundred rows are taken at a time: one thread encodes them while the next ones are read.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="encode") as pool:
            before: tuple[list[Rendered], Future[list[Encoding]]] | None = None
            for batch in _batches(rows):
                rendered = [self._renderer.render(row) for row in batch]
                texts = [text.text for each in rendered for text in each.texts]
                job = pool.submit(self._encoder.encode, texts)
                if before:
                    yield from self._examples(*before)
                before = rendered, job
            if before:
                yield from self._examples(*before)

    def control_text(self, row: Row) -> str:
        """Return the first control token that stands in a row's turns as text; nothing where none does.

        A row of plain text may well be a whole conversation with its control tokens, and thoughts
        are written between marks that some tokenizers count to them.
        """
        for turn in row.messages:
            for mark in self._encoder.control_in(turn["content"]):
                if not THOUGHT_MARK.match(mark):
                    return mark
        return ""

    def _examples(
        self, rendered: list[Rendered], job: Future[list[Encoding]]
    ) -> Iterator[tuple[Row, tuple[Example, ...] | TemplateError]]:
        """Yield the rows of a batch whose texts are encoded."""
        encoded = map(tokens_of, job.result())
        for each in rendered:
            tokens = list(islice(encoded, len(each.texts)))
            try:
                if each.error:
                    raise each.error
                made = [self._example(each.row.line, *pair) for pair in zip(each.texts, tokens, strict=True)]
                yield each.row, tuple(made)
            except TemplateError as error:
                yield each.row, error

    def _example(self, line: int, text: Text, tokens: Tokens) -> Example:
        trained = np.zeros(len(tokens), bool)
        shares_token = False
        places = self._encoder.places(text.text, tokens)
        for answer in text.answers:
            begin, shares = places.split(answer.begin)
            trained[begin : places.end(answer.end, answer.ends_turn)] = True
            shares_token |= shares
        if text.is_plain:
            tokens, trained = self._enclosed(tokens, trained)
        self._require_known(tokens)
        if self._train_on_prompt:
            trained[:] = True
        trained[:1] = False  # nothing comes before it to predict it from
        return Example(
            line,
            tokens,
            trained,
            ends_turn=bool(self._end) if text.is_plain else all(answer.ends_turn for answer in text.answers),
            shares_token=shares_token,
            added=next((answer.added for answer in text.answers if answer.added), ""),
            opened=next((answer.opened for answer in text.answers if answer.opened), ""),
            thinks=any(answer.thinks for answer in text.answers),
        )

    def _enclosed(self, tokens: Tokens, trained: NDArray[np.bool_]) -> tuple[Tokens, NDArray[np.bool_]]:
        """Put text without a template between start token (if the tokenizer has one) and end token.

        Neither is written twice where the text has it already.
        """
        head = self.start_ids if tokens[:1].tolist() != self.start_ids else []
        tail = self._end if tokens[-1:].tolist() != self._end else []
        return (
            np.concatenate([head, tokens, tail]).astype(np.int32),
            np.concatenate([np.zeros(len(head), bool), trained, np.ones(len(tail), bool)]),
        )

    def _require_known(self, tokens: Tokens) -> None:
        """Refuse tokens for which the model has no vector.

        Raises:
            UnknownToken: there is one.
        """
        highest = int(tokens.max(initial=0))
        if self.vocabulary is None or highest < self.vocabulary:
            return
        name = self._tokenizer.convert_ids_to_tokens(highest)
        raise UnknownToken(
            _("token {id} ({text}) is none of the model's, which are 0 to {last}").format(
                id=highest, text=one_line(repr(name), 40), last=self.vocabulary - 1
            ),
            _("use the tokenizer that belongs to the base model"),
        )


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in batches of bounded length."""
    batch: list[Row] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += len(row.said)
        if len(batch) == _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
