"""One data file read, tokenised and cut: what training and the data report share."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import units
from engine.config import TrainingConfig
from engine.dataset.batches.chat_template import TemplateError
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.inspect.other_template import OTHER_TEMPLATE
from engine.dataset.inspect.suspicious import doubts_about
from engine.dataset.inspect.template_notes import TemplateRemarks
from engine.dataset.inspect.token_stats import TokenCounter
from engine.dataset.jsonl.row import Row
from engine.dataset.jsonl.rows import read_rows
from engine.dataset.report import Fault, FileReport
from engine.i18n import _
from engine.sanitize import one_line

_CONTROL_TEXT = "control_text"
Passing = Callable[[Iterable[Row | Fault]], Iterable[Row | Fault]]
"""Something that what is read passes through, such as `engine.dataset.watch.watched`."""


@dataclass(frozen=True)
class LoadedFile:
    """The usable examples of one file and what is to be said about all its rows."""

    examples: tuple[Example, ...]
    """Cut to `max_seq_length`, each with at least one trained token, in file order."""
    report: FileReport


def load_file(path: Path, tokenize: ExampleTokenizer, config: TrainingConfig) -> LoadedFile:
    """Read a data file and tokenise and cut its rows.

    Raises:
        UserError: the file cannot be read at all.
    """
    reader = FileReader(path)
    examples = tuple(reader.examples(tokenize, config.max_seq_length))
    return LoadedFile(examples, reader.report())


class FileReader:
    """Reads one data file once; what is to be said about its rows gathers here while they pass."""

    def __init__(self, path: Path, passing: Passing = lambda items: items) -> None:
        """Nothing is read yet.

        Args:
            path: of the file.
            passing: what is read passes through it.
        """
        self._path = path
        self._passing = passing
        self._faults: list[Fault] = []
        self._usable = 0
        """Rows so far, or examples where rows are tokenised."""
        self._added = 0
        """Examples so far beyond one a row."""
        self._counter: TokenCounter | None = None
        self._remarks = TemplateRemarks()

    def rows(self) -> Iterator[Row]:
        """Yield the rows that can be used.

        Raises:
            UserError: the file cannot be read at all.
        """
        for row in self._rows():
            self._usable += 1
            yield row

    def examples(self, tokenize: ExampleTokenizer, limit: int) -> Iterator[Example]:
        """Yield the rows that can be trained on as tokens, `limit` at most, and count these.

        Raises:
            UserError: the file cannot be read at all.
        """
        self._counter = TokenCounter(limit)
        for row, made in tokenize.many(self._rows()):
            kept = self._counter.see(self._seen(row, made, tokenize))
            self._usable += len(kept)
            self._added += max(0, len(kept) - 1)
            yield from kept
        self._faults += _length_faults(self._path.name, self._counter, limit)
        self._faults += self._remarks.faults(self._path.name)

    def report(self) -> FileReport:
        """Return what was found in the rows that have passed."""
        figures = self._counter.figures() if self._counter else None
        rows = self._usable - self._added + sum(fault.leaves_out for fault in self._faults)
        lines = {fault.line for fault in self._faults if fault.kind == _CONTROL_TEXT}
        faults = sorted(
            (f for f in self._faults if f.kind != OTHER_TEMPLATE or f.line not in lines),
            key=lambda fault: fault.line,
        )
        if not rows:
            faults.insert(0, _no_rows(self._path.name))
        return FileReport(self._path.name, rows, self._usable, tuple(faults), figures, self._added)

    def _rows(self) -> Iterator[Row]:
        for item in self._passing(read_rows(self._path)):
            if not isinstance(item, Row):
                self._faults.append(item)
                continue
            self._faults += doubts_about(self._path.name, item)
            yield item

    def _seen(
        self, row: Row, examples: tuple[Example, ...] | TemplateError, tokenize: ExampleTokenizer
    ) -> tuple[Example, ...]:
        """Return the examples of a row after a look at them."""
        file = self._path.name
        if isinstance(examples, TemplateError):
            self._faults.append(Fault(file, row.line, None, "template", "error", str(examples), examples.fix))
            return ()
        if not all(example.ends_turn for example in examples) and (tokenize.ends_answers or row.text):
            self._remarks.see_endless(row.line)  # else it is so of all, and a fault of the model
        if any(example.shares_token for example in examples):
            self._faults.append(_shared_token(file, row.line))
        if mark := tokenize.control_text(row):
            self._faults.append(_control_text(file, row.line, mark))
        self._remarks.see(examples)
        return examples


def _no_rows(file: str) -> Fault:
    fix = _('write one object a line: {"prompt": ..., "completion": ...}')
    return Fault(file, 0, None, "no_rows", "error", _("the file has no rows"), fix)


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


def _control_text(file: str, line: int, mark: str) -> Fault:
    message = _("its text holds '{mark}', which the model reads as a control token and not as text")
    return Fault(
        file,
        line,
        None,
        _CONTROL_TEXT,
        "warning",
        message.format(mark=one_line(mark, 40)),
        _("take it out: the chat template writes such tokens itself"),
    )


def _length_faults(file: str, counter: TokenCounter, limit: int) -> Iterator[Fault]:
    dropped = set(counter.dropped)
    no_token = _("no token to learn within {tokens}").format(tokens=units.tokens(limit))
    cut = _("cut at {tokens}").format(tokens=units.tokens(limit))
    shorter_prompt = _("raise max_seq_length or shorten the prompt")
    shorter_row = _("raise max_seq_length or shorten the row")
    for line in counter.dropped:
        yield Fault(file, line, None, "no_trained_token", "error", no_token, shorter_prompt)
    for line in counter.truncated:
        if line not in dropped:
            yield Fault(file, line, None, "truncated", "warning", cut, shorter_row)
