"""Right answers from a conversation as rows of training data, kept in a file of their own."""

import fcntl
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.dataset.inspect.suspicious import doubts_about
from engine.dataset.jsonl.lines import Oddities, read_lines
from engine.dataset.jsonl.parse import RowError, parse_object
from engine.dataset.jsonl.row import Row, row_of
from engine.dataset.jsonl.rows import control_fault
from engine.dataset.jsonl.turns import Message, answers_of
from engine.dataset.report import Fault
from engine.errors import UserError, system_reason, write_fix
from engine.files import NoPlainFile, open_given, read_own, write_atomic
from engine.i18n import _
from engine.project import Project
from engine.sanitize import json_text


@dataclass(frozen=True)
class Addition:
    """A row to be added."""

    line: str
    """As JSON."""
    doubts: tuple[Fault, ...]
    """What the check will warn of in it."""


def answered(turns: Sequence[Message], answer: str, as_turns: bool) -> Addition:
    """Return a conversation and its right answer as a row; answers before that are not learned.

    Args:
        turns: the conversation, ending with the question.
        answer: to it.
        as_turns: write one question and its answer as `messages` too, see `has_turns`.

    Raises:
        UserError: it cannot be trained on.
    """
    messages = (*turns, {"role": "assistant", "content": answer})
    value = Row(1, messages, untrained=tuple(answers_of(turns))).value(as_turns)
    try:
        row, _not_used = row_of(value, 1)
    except RowError as error:
        raise UserError(_("This is no row to train on: {reason}").format(reason=error), error.fix) from None
    line = json_text(value)
    return Addition(line, (*doubts_about("", row), *control_fault("", row, line.encode())))


def has_turns(project: Project) -> bool:
    """Whether the training rows are written as `messages`, as their first one tells."""
    with suppress(UserError, RowError):
        first = next(read_lines(project.train_file, Oddities()), None)
        return isinstance(first, tuple) and "messages" in parse_object(first[1])
    return False


def add(project: Project, addition: Addition) -> int:
    """Append a row to the project's file of additions and return how many rows that has.

    The file is replaced as a whole, so that no moment shows a part of a line.

    Raises:
        UserError: it has that row already, is no plain file, or cannot be written.
    """
    path, line = project.additions_file, addition.line.encode()
    try:
        path.parent.mkdir(exist_ok=True)
        with _alone(path.parent):
            rows = [row for row in _content(path).split(b"\n") if row]
            if line in rows:
                raise UserError(
                    _("Row {number:,} of {path} is this one already").format(
                        number=rows.index(line) + 1, path=path
                    ),
                    _("change the answer, or leave it at that"),
                )
            write_atomic(path, b"\n".join([*rows, line, b""]))
    except NoPlainFile:
        raise
    except OSError as error:
        raise UserError(
            _("Cannot write {path}: {reason}").format(path=path, reason=system_reason(error)),
            write_fix(error),
        ) from None
    return len(rows) + 1


def joining_command(project: Project) -> str:
    """Return the shell command that moves the additions into the training rows; it works in any folder."""
    names = (path.relative_to(project.root) for path in (project.additions_file, project.train_file))
    additions, train = map(os.fspath, names)
    rows = f"cat {additions}" if _ends_whole(project.train_file) else f"{{ echo; cat {additions}; }}"
    return f"(cd {shlex.quote(os.path.abspath(project.root))} && {rows} >> {train} && rm {additions})"


def _content(path: Path) -> bytes:
    try:
        return read_own(path)
    except FileNotFoundError:
        return b""


def _ends_whole(path: Path) -> bool:
    """Whether what is appended to a file begins a line of its own."""
    try:
        with open_given(path) as file:
            if not file.seek(0, os.SEEK_END):
                return True
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"
    except OSError:
        return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time add a row."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
