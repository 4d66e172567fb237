"""Opening the app without Typer says what Typer would say, or leaves it to Typer."""

import errno
import os
import sys
from functools import partial
from pathlib import Path

from tui import launch
from tui.cli import main as command_line
from tui.cli import open_app
from tui.cli.open_app import app_options

import pytest

PLAIN: tuple[list[str], ...] = (
    [],
    ["-C", "other"],
    ["--directory", "other", "--go-on"],
    ["--half-micro-batch", "-C", "other", "-C", "."],
    ["--lang", "pt", "--go-on", "--go-on"],
)
OTHERS = (
    ["train"],
    ["-h"],
    ["--version"],
    ["-Cother"],
    ["--directory=other"],
    ["-C"],
    ["-C", "--go-on"],
    ["--lang", "xx"],
    ["--go-on", "--no-such"],
    ["other"],
)


def _note(opened: list[tuple[object, ...]], *asked: object) -> int:
    opened.append(asked)
    return 0


@pytest.mark.parametrize("arguments", PLAIN)
def test_the_app_is_opened_as_typer_would(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same project, going on or not, with the same micro-batches."""
    opened: list[tuple[object, ...]] = []
    for module in (command_line, open_app):
        monkeypatch.setattr(module, "run_app_in_terminal", partial(_note, opened))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mqlora-tui", *arguments])
    options = app_options(arguments)
    assert options is not None
    assert open_app.open_app(options) == command_line.main() == 0
    assert len(opened) == 2 and opened[0] == opened[1]


@pytest.mark.parametrize("arguments", OTHERS)
def test_all_else_is_left_to_typer(arguments: list[str]) -> None:
    """Commands, questions, other spellings and mistakes."""
    assert app_options(arguments) is None


def test_a_language_that_there_is_not_is_left_to_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses that."""
    monkeypatch.setenv("MQLORA_LANG", "xx")
    assert app_options([]) is None


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EMFILE, "Too many open files (x); allow more open files: ulimit -n 1024."),
        (errno.EACCES, "Permission denied (x); let this user read and run it"),
        (errno.EIO, "Input/output error (x)."),
    ],
)
def test_why_it_cannot_start_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, told: str
) -> None:
    """Nothing is advised against an error that it does not help against."""

    def fail() -> int:
        raise OSError(number, os.strerror(number), "x")

    monkeypatch.setattr(launch, "_run", fail)
    assert launch.main() == 1
    assert f"mqlora-tui cannot start: {told}" in capsys.readouterr().err
