"""One data file read, tokenised and cut: what training and the data report share."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.config import TrainingConfig
from engine.dataset.chat_template import TemplateError
from engine.dataset.report import Fault, FileReport, TokenFigures
from engine.dataset.rows import Row, read_rows
from engine.dataset.tokenizing import Example, ExampleTokenizer
from engine.i18n import _

import numpy as np

_BINS = 24
_TOLD_EVERY = 100
Progress = Callable[[int], None]
"""Called with the number of rows read so far."""


@dataclass(frozen=True)
class LoadedFile:
    """The usable examples of one file and what is to be said about all its rows."""

    examples: tuple[Example, ...]
    """Cut to `max_seq_length`, each with at least one trained token, in file order."""
    report: FileReport


def load_file(
    path: Path,
    tokenize: ExampleTokenizer | None,
    config: TrainingConfig,
    progress: Progress | None = None,
    see: Callable[[Row], None] | None = None,
) -> LoadedFile:
    """Read a data file; with a tokenizer also tokenise and cut its rows.

    Args:
        path: of the file.
        tokenize: of the base model, if there is one.
        config: says how long rows may be.
        progress: told how many lines were read.
        see: shown every row that can be used.

    Raises:
        UserError: the file cannot be read at all.
    """
    faults: list[Fault] = []
    usable = _usable(path, faults, progress, see)
    if tokenize is None:
        count = sum(1 for _row in usable)
        return LoadedFile((), _report(path.name, count, count, faults, None))
    whole = _tokenize(usable, tokenize, path.name, faults)
    kept = tuple(
        cut for cut in (example.cut(config.max_seq_length) for example in whole) if cut.trained.any()
    )
    figures = _figures(whole, kept, config.max_seq_length)
    faults += _length_faults(path.name, figures, config.max_seq_length)
    return LoadedFile(kept, _report(path.name, len(whole), len(kept), faults, figures))


def _usable(
    path: Path, faults: list[Fault], progress: Progress | None, see: Callable[[Row], None] | None
) -> Iterator[Row]:
    """Yield the rows that can be used; what else is said of the file goes to `faults`."""
    for count, item in enumerate(read_rows(path), start=1):
        if isinstance(item, Row):
            if see:
                see(item)
            yield item
        else:
            faults.append(item)
        if progress and count % _TOLD_EVERY == 0:
            progress(count)


def _report(
    file: str, whole: int, kept: int, faults: list[Fault], figures: TokenFigures | None
) -> FileReport:
    """Return the report of a file with `whole` tokenised rows, of which `kept` can be trained on."""
    faults.sort(key=lambda fault: fault.line)
    lost = sum(fault.severity == "error" and fault.kind != "no_trained_token" for fault in faults)
    return FileReport(file, whole + lost, kept, tuple(faults), figures)


def _tokenize(
    rows: Iterable[Row], tokenize: ExampleTokenizer, file: str, faults: list[Fault]
) -> list[Example]:
    examples = []
    for row in rows:
        try:
            example = tokenize(row)
        except TemplateError as error:
            faults.append(Fault(file, row.line, None, "template", "error", str(error), error.fix))
            continue
        examples.append(example)
        if not example.ends_turn:
            faults.append(_no_end_of_turn(file, row.line))
        if example.shares_token:
            faults.append(_shared_token(file, row.line))
    return examples


def _no_end_of_turn(file: str, line: int) -> Fault:
    return Fault(
        file,
        line,
        None,
        "no_end_of_turn",
        "warning",
        _("the answer has no end token: the model will not learn to stop"),
        _("use a base model whose chat template ends each turn"),
    )


def _shared_token(file: str, line: int) -> Fault:
    return Fault(
        file,
        line,
        None,
        "shared_token",
        "warning",
        _("prompt and answer melt in one token: its part of the answer is not learned"),
        _("begin the answer without line breaks or spaces"),
    )


def _figures(whole: list[Example], kept: tuple[Example, ...], limit: int) -> TokenFigures | None:
    if not whole:
        return None
    lengths = np.array([len(example.tokens) for example in whole])
    used = {example.line for example in kept}
    return TokenFigures(
        shortest=int(lengths.min()),
        median=int(np.median(lengths)),
        longest=int(lengths.max()),
        total=sum(len(example.tokens) for example in kept),
        trained=sum(int(example.trained.sum()) for example in kept),
        histogram=tuple(np.histogram(lengths, bins=_BINS, range=(0, lengths.max()))[0].tolist()),
        truncated_lines=tuple(example.line for example in whole if len(example.tokens) > limit),
        dropped_lines=tuple(example.line for example in whole if example.line not in used),
    )


def _length_faults(file: str, figures: TokenFigures | None, limit: int) -> list[Fault]:
    if figures is None:
        return []
    dropped = set(figures.dropped_lines)
    faults = [
        Fault(
            file,
            line,
            None,
            "no_trained_token",
            "error",
            _("no token to learn within {limit} tokens").format(limit=limit),
            _("raise max_seq_length or shorten the prompt"),
        )
        for line in figures.dropped_lines
    ]
    return faults + [
        Fault(
            file,
            line,
            None,
            "truncated",
            "warning",
            _("cut at {limit} tokens").format(limit=limit),
            _("raise max_seq_length or shorten the row"),
        )
        for line in figures.truncated_lines
        if line not in dropped
    ]
