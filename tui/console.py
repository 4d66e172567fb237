"""What the command line prints: text that cannot steer the terminal, JSON, and refusals."""

import errno
import logging
import math
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from engine.errors import UserError, WrongUsage, system_reason
from engine.i18n import _
from engine.project import Project
from engine.sanitize import json_text, one_line, printable
from engine.symbols import SYMBOLS
from tui.no_break import keep_together
from tui.shell import complete

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "ok": "green",
    "note": "dim",
    "warning": "yellow",
    "error": "red",
    "running": "cyan",
    "paused": "yellow",
}


class _Console(Console):
    """Leaves it to the command line how a program ends whose output nobody reads."""

    def on_broken_pipe(self) -> None:
        """Let that be known; rich would end the program here, with exit code 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


keep_together()
out = _Console(highlight=False, soft_wrap=True)
err = _Console(stderr=True, highlight=False, soft_wrap=True)


class _HarmlessRecord(logging.LogRecord):
    """A message of a library's log; it may quote a model folder's files."""

    def getMessage(self) -> str:
        """Return the message on one line, without control codes."""
        return one_line(super().getMessage(), 500)


def make_output_harmless() -> None:
    """Let what libraries log be printed as by `say`, and what a terminal has no letters for as escapes."""
    logging.setLogRecordFactory(_HarmlessRecord)
    logging.captureWarnings(True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str, console: Console = out, wrap: bool = False) -> None:
    """Print a message without markup or control codes; the commands in it are ready to be pasted.

    Args:
        text: the message.
        console: where to.
        wrap: break lines between words on a terminal, which breaks them anywhere; for text without commands.
    """
    quote(complete(text), console, wrap)


def quote(text: str, console: Console = out, wrap: bool = False) -> None:
    """Print text of data or users as it is: no markup, no control codes; `wrap` as for `say`.

    Where stderr takes nothing nobody can be told, and the command goes on.

    Raises:
        OSError: stdout takes nothing.
    """
    try:
        console.print(Text(printable(text)), soft_wrap=not (wrap and console.is_terminal))
    except OSError:
        with suppress(OSError), console.capture():
            pass  # takes away what the console would write once more before the next text
        if console is not err:
            raise


def model_taken(project: Project, name: str) -> str:
    """Return the name of the base model that a command uses: the selected one, else the first there is."""
    return name or next(iter(project.models()), "")


def say_model(project: Project, name: str) -> None:
    """Say on stderr which base model is taken, where there are several and none is selected.

    Args:
        project: whose models these are.
        name: of the selected one; empty where none is.
    """
    found = project.models()
    if name or len(found) < 2:
        return
    text = _("Base model: {name}, the first of {n}; another is chosen as 'model' of the configuration.")
    say(text.format(name=one_line(next(iter(found)), 200), n=len(found)), err)


def status_mark(status: str) -> Text:
    """Return the symbol of ok, note, warning, error, running or paused in its colour."""
    return Text(SYMBOLS[status], STYLES[status])


def print_json(value: Any) -> None:
    """Print one JSON object on one line; null stands for a number that is not finite."""
    try:
        text = json_text(value, default=str, allow_nan=False)
    except ValueError:
        text = json_text(_finite(value), default=str)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    """Return `value` with None for NaN and infinities, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def refuse(error: UserError) -> int:
    """Tell of a refusal and return its exit code."""
    _complain(str(error), error.problem, error.fix)
    return 2 if isinstance(error, WrongUsage) else 1


def refuse_usage(show: Callable[[TextIO], None], problem: str, retold: Callable[[str], str] = str) -> None:
    """Tell of a usage error: what `show` writes quotes the command line as it is.

    Args:
        show: writes it for people.
        problem: the same in a sentence.
        retold: says a line of it in the user's language.
    """
    text = StringIO()
    show(text)
    lines = text.getvalue().rstrip().split("\n")
    _complain("\n".join(map(retold, lines)), retold(problem).rstrip("."), _("see: mqlora-tui --help"))


def refuse_system(error: OSError) -> int:
    """Tell what the system did not let a command do, and return its exit code."""
    reason = system_reason(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        problem, fix = _("Too many files are open"), _("allow more with: ulimit -n 1024")
    elif error.errno == errno.EAGAIN and error.filename is None:
        return refuse(_no_process())
    elif error.filename is None:
        problem, fix = _("Cannot write the output: {reason}").format(reason=reason), _("send it elsewhere")
    else:
        problem = _("Cannot use {path}: {reason}").format(path=error.filename, reason=reason)
        fix = _("put that right and try again")
    return refuse(UserError(problem, fix))


def report_defect(error: BaseException) -> int:
    """Tell of an unexpected exception in one sentence; its traceback goes to a log file."""
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return refuse(_no_process())
    told = logged_defect(error)
    _complain(f"{told.problem}; {told.fix}.", told.problem, told.fix)
    return 1


def logged_defect(error: BaseException) -> UserError:
    """Return what to say of an unexpected exception, whose traceback goes to a log file."""
    reason = one_line(f"{type(error).__name__}: {error}", 300)
    where = _write_error_log("".join(traceback.format_exception(error)))
    return UserError(_("Something unexpected happened ({reason})").format(reason=reason), where)


def _no_process() -> UserError:
    return UserError(
        _("The system lets this user start no further process or thread"),
        _("close other programs, or allow more with: ulimit -u 1024"),
    )


def report_crash(cause: str, messages: str) -> None:
    """Tell why a process ended that could not say it; what native code wrote goes to a log file."""
    where = _write_error_log(messages)
    _complain(f"{cause}; {where}.", cause, where, wrap=True)


def _complain(text: str, problem: str, fix: str, wrap: bool = False) -> None:
    """Print on stderr, where there is one, what went wrong; with `--json` also as an object on stdout."""
    say(text, err, wrap)
    if "--json" in sys.argv:
        with suppress(OSError):
            print_json({"error": {"problem": complete(problem), "fix": complete(fix)}})


def end_output() -> OSError | None:
    """Write what is left to write; return why that failed on stdout, and then write nothing more.

    The interpreter would try again at its exit, and change the exit code.
    """
    _flushed(sys.stderr)  # nobody can be told that
    return _flushed(sys.stdout)


def _flushed(stream: TextIO) -> OSError | None:
    try:
        stream.flush()
    except OSError as error:
        silence(stream)
        return error
    return None


def silence(stream: TextIO) -> None:
    """Let everything that is still to be written to a stream vanish."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write_error_log(details: str) -> str:
    """Append to the user's log of errors and return where that is, in words."""
    import platformdirs

    path = Path(platformdirs.user_log_dir("mqlora-tui")) / "errors.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            command = one_line(" ".join(sys.argv), 1000)
            log.write(f"{datetime.now().isoformat()} {command}\n{printable(details)}\n")
        return _("details are in {path}").format(path=path)
    except OSError as failure:
        return _("its details could not be written: {reason}").format(reason=failure)


def table(*columns: str) -> Table:
    """Return a table without lines; three columns without a head if none are named."""
    shown = Table(box=None, show_header=bool(columns), header_style="dim", pad_edge=True)
    for column in columns or ("", "", ""):
        shown.add_column(column, overflow="fold")
    return shown


def cell(value: str) -> Text:
    """Return a value for a table: one line without markup or control codes."""
    return Text(one_line(value, 1000))
