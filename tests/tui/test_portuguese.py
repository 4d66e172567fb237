"""The program in Portuguese: which way the language is said, what it changes and what it leaves."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from engine.errors import WrongUsage
from engine.i18n import numbers
from engine.i18n.languages import VARIABLE
from tests.support.portuguese import ROOT, pass_in_portuguese
from tui.app.textual_texts import FIELD_KEYS
from tui.cli import library_texts
from tui.cli.decimal_option import decimal_option
from tui.cli.main import app
from tui.respawn import choose_language, peek

import pytest
from textual.binding import Binding
from textual.widgets import Input, TextArea


def said(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `mqlora-tui` in a process that is told no language but by `environment`."""
    kept = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "LC_ALL", "LANG")}
    command = [sys.executable, "-m", "tui", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, encoding="utf-8"
    )


@pytest.mark.slow
def test_all_places(tmp_path: Path) -> None:
    """And all dialogs, in 80 columns."""
    pass_in_portuguese(tmp_path, str(Path(__file__).with_name("walk_in_portuguese.py")))


def test_the_locale_decides_and_an_option_more(tmp_path: Path) -> None:
    """A refusal tells which language is spoken."""
    folder = f"-C{tmp_path / 'none'}"
    assert "Não há nenhuma pasta" in said(folder, "check", LANG="pt_PT.UTF-8").stderr
    assert "There is no folder" in said(folder, "--lang", "en", "check", LANG="pt_PT.UTF-8").stderr
    done = said("--lang=pt", "check", "--nope", LANG="C.UTF-8")
    assert done.returncode == 2 and re.search(r"Utilização: \S*mqlora-tui check", done.stderr)
    assert "Erro: Não há nenhuma opção --nope" in done.stderr


def test_what_a_program_reads_is_english(tmp_path: Path) -> None:
    """With a point before decimals."""
    done = said(f"-C{tmp_path / 'none'}", "--lang", "pt", "check", "--json")
    assert json.loads(done.stdout)["error"]["problem"].startswith("There is no folder")


def test_an_unknown_language_is_refused() -> None:
    """Wherever it is said."""
    for done in (said("--lang", "xx", "check"), said("check", **{VARIABLE: "xx"})):
        assert (done.returncode, ": 'xx' is not one of" in done.stderr) == (2, True)


def test_an_option_takes_the_language_s_decimals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comma in Portuguese; in English one is refused, and so is what is out of range."""
    read = decimal_option("--temperature", 0.0, 5.0, "0 takes the likeliest token.").parser
    assert (read("0.5"), read(0.0)) == (0.5, 0.0)
    comma = "has a comma: write decimals with a point, as in 0.5"
    refused = ("0,5", comma), ("9", "at most 5"), ("nan", "a number")
    for text, reason in refused:
        with pytest.raises(WrongUsage, match=f"'{text}' of '--temperature'.*{reason}"):
            read(text)
    monkeypatch.setattr(numbers, "language", lambda: "pt")
    assert (read("0,5"), read("0.5")) == (0.5, 0.5)
    for command in (["chat", "--temperature", "a"], ["import", "x.csv", "--valid-share", "a"]):
        with pytest.raises(WrongUsage, match=f"'a' of '{command[-2]}'"):
            app(command, standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--lang", "pt"], "pt"),
        (["-C", "x", "--lang=pt", "train"], "pt"),
        (["train", "--lang", "pt"], None),
        (["-C", "--lang", "check"], None),
        (["--lang", "pt", "check", "--json"], "en"),
        ([], None),
    ],
)
def test_the_language_is_known_before_texts_are_made(
    arguments: list[str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line as it is."""
    monkeypatch.delenv(VARIABLE, raising=False)
    choose_language(arguments)
    assert os.environ.get(VARIABLE) == expected


def test_the_option_is_passed_over_where_the_command_is_looked_for() -> None:
    """It has a value."""
    assert peek(["--lang", "pt", "-C", "x", "train"]) == (Path("x"), "train")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nope"],
        ["train", "--rezume"],
        ["nope"],
        ["convert"],
        ["check", "more"],
        ["train", "--set"],
        ["train", "--resume=3"],
        ["chat", "--max-tokens", "x"],
        ["chat", "--max-tokens", "0"],
        ["serve", "--port", "99999"],
        ["--lang", "xx", "check"],
    ],
)
def test_usage_errors_of_typer_are_known(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By their form, down to what is wrong with a value; a new version of it may say them otherwise."""
    monkeypatch.setattr(library_texts, "_", "<{}>".format)
    with pytest.raises(Exception) as caught:
        app(arguments, standalone_mode=False)
    sentence = caught.value.format_message()  # type: ignore[attr-defined]
    if "No such command" not in sentence:  # which Typer asks gettext for
        told = library_texts.retold(sentence)
        assert told.startswith("<") and ("Invalid value" not in told or ": <" in told), told


def test_an_option_without_a_value_is_not_shown_to_take_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Typer writes <bool> behind it."""
    app(["train", "--help"], standalone_mode=False)
    help_text = capsys.readouterr().out
    assert "--restart" in help_text and "<bool>" not in help_text and "<path>" in help_text


def test_keys_of_text_fields_are_known() -> None:
    """Those that Textual has today."""
    bindings = [each for each in (*Input.BINDINGS, *TextArea.BINDINGS) if isinstance(each, Binding)]
    assert {each.description for each in bindings} == set(FIELD_KEYS)
