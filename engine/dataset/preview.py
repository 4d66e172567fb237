"""One row as the model sees it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.config import TrainingConfig
from engine.dataset.chat_template import TemplateError
from engine.dataset.rows import Row, read_rows
from engine.dataset.tokenizing import ExampleTokenizer, load_tokenizer
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project

_MAX_UTF8_BYTES = 4


@dataclass(frozen=True)
class PreviewToken:
    """One token of a row, or the few that share one character."""

    text: str
    trained: bool
    """Carries loss."""
    cut: bool
    """Beyond `max_seq_length`."""
    special: bool
    """A control token of the model, such as an end-of-turn mark."""


def preview_row(project: Project, config: TrainingConfig, file: str, line: int) -> tuple[PreviewToken, ...]:
    """Return line `line` of `file` (in the data folder) as tokens.

    Raises:
        UserError: no such line, a line that cannot be used, or no model to tokenise it with.
    """
    row = _find(project.data_dir / file, line)
    tokenizer = _cached_tokenizer(project.model_dir(config.model))
    tokenize = ExampleTokenizer(tokenizer, config)
    try:
        example = tokenize(row)
    except TemplateError as error:
        raise UserError(
            _("Line {line} of {file}: {reason}").format(line=line, file=file, reason=error),
            error.fix,
        ) from None
    special = tokenize.special_ids
    return tuple(
        PreviewToken(
            text=text,
            trained=bool(example.trained[position]),
            cut=position >= config.max_seq_length,
            special=int(example.tokens[position]) in special,
        )
        for position, text in _texts(tokenizer, example.tokens.tolist())
    )


def _texts(tokenizer: Any, tokens: list[int]) -> Iterator[tuple[int, str]]:
    """Yield position and text of each token; tokens that share one character come as one."""
    begin = 0
    for end in range(1, len(tokens) + 1):
        text = tokenizer.decode(tokens[begin:end])
        if not text.endswith("\ufffd") or end == len(tokens) or end - begin == _MAX_UTF8_BYTES:
            yield begin, text
            begin = end


def _find(path: Path, line: int) -> Row:
    for item in read_rows(path):
        if item.line == line:
            if isinstance(item, Row):
                return item
            raise UserError(
                _("Line {line} of {file}: {reason}").format(line=line, file=path.name, reason=item.message),
                item.fix,
            )
    raise UserError(
        _("{file} has no row on line {line}").format(file=path.name, line=line), _("choose another line")
    )


_cached_tokenizer = lru_cache(maxsize=1)(load_tokenizer)
