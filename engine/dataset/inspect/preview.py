"""One row as the model sees it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.inspect.model_tokens import example_tokenizer
from engine.dataset.jsonl.lines import OTHER_FORMATS
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project

_MAX_UTF8_BYTES = 4


@dataclass(frozen=True)
class PreviewToken:
    """One token of a row, or the few that share one character."""

    text: str
    trained: bool
    """Carries loss, unless it is cut."""
    cut: bool
    """Beyond `max_seq_length`."""
    special: bool
    """A control token of the model, such as an end-of-turn mark."""
    ids: tuple[int, ...]
    """The token's number in the model's vocabulary; several where tokens share a character."""


AnswerEnding = Literal["trained", "cut", "missing", "nothing"]
"""What becomes of the token that ends an answer; nothing: no token carries loss."""


@dataclass(frozen=True)
class RowFigures:
    """How many tokens a row has, and of what sort."""

    total: int
    prompt: int
    """Those before the first that carries loss."""
    trained: int
    """Those that carry loss and are not cut."""
    cut: int
    answers: int
    """Stretches of tokens that carry loss."""
    ending: AnswerEnding
    """Of the worst of them."""

    @property
    def later(self) -> int:
        """Tokens behind the first answer that carry no loss, such as a line break behind its end."""
        return max(0, self.total - self.prompt - self.trained - self.cut)


def preview_row(project: Project, config: TrainingConfig, file: str, line: int) -> tuple[PreviewToken, ...]:
    """Return line `line` of `file` (in the data folder) as tokens, of one example after the other.

    Raises:
        UserError: no such line, a line that cannot be used, or no model to tokenise it with.
    """
    row = find_row(project.data_dir / file, line)
    tokenize = _cached_tokenizer(project.model_dir(config.model), config)
    try:
        examples = tokenize(row)
    except TemplateError as error:
        raise UserError(
            _("Line {line} of {file}: {reason}").format(line=line, file=file, reason=error),
            error.fix,
        ) from None
    return tuple(token for example in examples for token in _tokens(tokenize, example, config.max_seq_length))


def row_figures(tokens: Sequence[PreviewToken]) -> RowFigures:
    """Count the tokens of a row, and see how its answers end."""
    first = next((index for index, token in enumerate(tokens) if token.trained), len(tokens))
    answers = [list(run) for trained, run in groupby(tokens, lambda token: token.trained) if trained]
    endings = [_ending(answer) for answer in answers]
    worst: Sequence[AnswerEnding] = ("missing", "cut", "trained", "nothing")
    return RowFigures(
        total=_count(tokens),
        prompt=_count(tokens[:first]),
        trained=_count([token for token in tokens if token.trained and not token.cut]),
        cut=_count([token for token in tokens if token.cut]),
        answers=len(answers),
        ending=min(endings, key=worst.index, default="nothing"),
    )


def find_row(path: Path, line: int) -> Row:
    """Return the row on a line, without parsing those before it.

    Raises:
        UserError: no such line, or one that cannot be used.
    """
    item = next(read_rows(path, line), None)
    if isinstance(item, Row) and item.line == line:
        return item
    if isinstance(item, Fault) and item.leaves_out and _is_about(item, line):
        raise UserError(
            _("Line {line} of {file}: {reason}").format(line=item.line, file=path.name, reason=item.message),
            item.fix,
        )
    raise UserError(
        _("{file} has no row on line {line}").format(file=path.name, line=line), _("choose another line")
    )


def _is_about(fault: Fault, line: int) -> bool:
    return fault.line == line or fault.kind in OTHER_FORMATS


def _tokens(tokenize: ExampleTokenizer, example: Example, limit: int) -> Iterator[PreviewToken]:
    """Yield the tokens of an example; those that share one character, and their fate, come as one."""
    ids: list[int] = example.tokens.tolist()
    special = tokenize.special_ids
    fates = [(bool(trained), index >= limit) for index, trained in enumerate(example.trained)]
    before = begin = 0
    for end in range(1, len(ids) + 1):
        text = _text(tokenize, ids[before:begin], ids[begin:end])
        is_whole = not text.endswith("\ufffd") or end - begin == _MAX_UTF8_BYTES
        if is_whole or end == len(ids) or fates[end] != fates[begin]:
            trained, cut = fates[begin]
            yield PreviewToken(text, trained, cut, ids[begin] in special, tuple(ids[begin:end]))
            before, begin = begin, end


def _text(tokenize: ExampleTokenizer, before: list[int], ids: list[int]) -> str:
    """Return what tokens add to the text of those before: alone, some tokenizers strip them of a space."""
    both, first = (tokenize.decode(part) for part in (before + ids, before))
    return str(both.removeprefix(first))


def _ending(answer: Sequence[PreviewToken]) -> AnswerEnding:
    """Look at the last token of an answer that is not white space of the template."""
    last = next((token for token in reversed(answer) if token.special or token.text.strip()), answer[-1])
    if not last.special:
        return "missing"
    return "cut" if last.cut else "trained"


def _count(tokens: Sequence[PreviewToken]) -> int:
    return sum(len(token.ids) for token in tokens)


_cached_tokenizer = lru_cache(maxsize=1)(example_tokenizer)
