"""What is printed and logged on the command line cannot steer the terminal."""

import asyncio
import errno
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import TextIO

from engine.errors import UserError
from engine.sanitize import printable
from tui.cli.outcome import exit_code_of
from tui.console import (
    end_output,
    err,
    make_output_harmless,
    print_json,
    refuse,
    refuse_system,
    refuse_usage,
    report_defect,
    say,
)

import pytest
from rich.console import Console

RAW = "\x1b]0;title\x07\x9b2J\x7f\r\u202e\u200b[red][/INST][link=x]é 👩‍👩‍👧"
SHOWN = "\\x1b]0;title\\x07\\x9b2J\\x7f\\x0d\\u202e\\u200b[red][/INST][link=x]é 👩‍👩‍👧"


def test_text_is_printed_without_markup_or_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets stay as they are, control codes become visible."""
    say(f"a {RAW}")
    assert capsys.readouterr().out == f"a {SHOWN}\n"


@pytest.mark.parametrize(
    ("is_terminal", "lines"),
    [(True, ["The run is safe in", "checkpoint_epoch0;", "go on from there."]), (False, 1)],
)
def test_a_notice_is_broken_between_words_on_a_terminal(is_terminal: bool, lines: object) -> None:
    """Elsewhere it is one line, as programs read it."""
    file = StringIO()
    console = Console(file=file, width=20, force_terminal=is_terminal, soft_wrap=True)
    say("The run is safe in checkpoint_epoch0; go on from there.", console, wrap=True)
    found = [line.rstrip() for line in file.getvalue().splitlines()]
    assert (found if is_terminal else len(found)) == lines


def test_json_is_harmless_and_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    """What JSON itself lets through raw (C1, DEL, reordering) is escaped; letters stay readable."""
    print_json({RAW: Path(RAW)})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {RAW: RAW}
    assert printable(printed) == printed and "é 👩‍👩‍👧" in printed


def test_usage_errors_quote_the_command_line_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    """An option with an escape sequence in it."""

    def show(file: TextIO) -> None:
        file.write(f"Usage: x\n\nError: No such option: --{RAW}\n")

    refuse_usage(show, "No such option")
    assert capsys.readouterr().err == f"Usage: x\n\nError: No such option: --{SHOWN}\n"


def test_a_defect_is_reported_and_logged_harmlessly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its message, the command line and the traceback may quote data."""
    monkeypatch.setattr("platformdirs.user_log_dir", lambda name: str(tmp_path / name))
    monkeypatch.setattr("sys.argv", ["mqlora-tui", RAW])
    try:
        raise ValueError(f"{RAW}\nsecond line")
    except ValueError as error:
        assert report_defect(error) == 1
    printed = capsys.readouterr().err
    log = (tmp_path / "mqlora-tui" / "errors.log").read_text()
    assert SHOWN in printed and printed.count("\n") == 1
    assert log.count(SHOWN) >= 2 and "Traceback" in log
    assert printable(printed) == printed and printable(log) == log


def test_a_terminal_that_knows_few_letters_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Latin-1 terminal ends no command."""
    content = BytesIO()
    monkeypatch.setattr("sys.stdout", TextIOWrapper(content, encoding="latin-1", write_through=True))
    make_output_harmless()
    say("✓ é")
    assert content.getvalue() == b"\\u2713 \xe9\n"


def test_what_libraries_log_and_warn_of_is_harmless() -> None:
    """Loaders quote a model's files in their warnings."""
    make_output_harmless()
    written = StringIO()
    handler = logging.StreamHandler(written)
    loggers = [logging.getLogger(name) for name in ("transformers", "py.warnings")]
    try:
        for logger in loggers:
            logger.addHandler(handler)
        loggers[0].error("You are using a model of type %s", RAW)
        warnings.warn_explicit(RAW, UserWarning, "x.py", 1)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    logged, warned = written.getvalue().splitlines()
    assert logged == f"You are using a model of type {SHOWN}" and SHOWN in warned


def test_a_refusal_is_an_object_too_where_that_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stdout, whole, with the sentence for people on stderr."""
    monkeypatch.setattr("sys.argv", ["mqlora-tui", "report", "--json"])
    assert refuse(UserError(f"No run in {RAW}", "train")) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"error": {"problem": f"No run in {SHOWN}", "fix": "train"}}
    assert printed.err == f"No run in {SHOWN}; train.\n"
    monkeypatch.setattr("sys.argv", ["mqlora-tui", "report"])
    refuse(UserError("No run", "train"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (
            OSError(errno.ENOSPC, "Full"),
            "Cannot write the output: Full; send it elsewhere.",
        ),
        (
            OSError(errno.EMFILE, "x", "/a"),
            "Too many files are open; allow more with: ulimit -n 1024.",
        ),
        (OSError(errno.EACCES, "Denied", "/a"), "Cannot use /a: Denied; put that right and try again."),
    ],
)
def test_what_the_system_does_not_allow_is_a_sentence(
    capsys: pytest.CaptureFixture[str], error: OSError, printed: str
) -> None:
    """Not a defect of the program."""
    assert refuse_system(error) == 1
    assert capsys.readouterr().err == f"{printed}\n"


def test_a_stream_that_takes_nothing_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is for stderr is lost in silence; what is for stdout is told, once."""
    with open("/dev/full", "w") as out, open("/dev/full", "w", buffering=1) as error:
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", error)
        say("nobody hears it", err)
        with monkeypatch.context() as later, StringIO() as heard:
            later.setattr("sys.stderr", heard)
            say("the next word", err)
            assert heard.getvalue() == "the next word\n"
        out.write("x")
        failure = end_output()
        assert failure is not None and failure.errno == errno.ENOSPC
        assert end_output() is None


@pytest.mark.parametrize(
    "command",
    [
        lambda: refuse_system(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")),
        lambda: report_defect(RuntimeError("can't start new thread")),
    ],
)
def test_a_system_without_a_process_to_give_is_reported(
    command: Callable[[], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is neither the output's fault nor a defect."""
    assert command() == 1
    printed = capsys.readouterr().err
    assert "The system lets this user start no further process or thread; " in printed
    assert "ulimit -u" in printed


def test_a_command_whose_terminal_is_gone_ends_as_with_a_hang_up() -> None:
    """Also where it finds out by writing, before the signal reaches it."""
    master, slave = pty.openpty()
    code = "import sys; from tui.cli.outcome import exit_code_of; "
    code += "sys.exit(exit_code_of(lambda: sys.stdin.read() and 0 or (print('x'), 0)[1]))"
    command = [sys.executable, "-c", code]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=slave, stderr=subprocess.PIPE, start_new_session=True
    )
    os.close(slave)
    os.close(master)
    _out, errors = child.communicate(b"")
    assert (child.returncode, errors) == (128 + signal.SIGHUP, b"")


def test_a_cancelled_task_is_a_defect_that_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no `Exception` to Python."""

    def cancelled() -> int:
        raise asyncio.CancelledError

    assert exit_code_of(cancelled) == 1
    assert "CancelledError" in capsys.readouterr().err
