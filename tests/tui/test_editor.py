"""The user's editor: which one is taken, the form of its line, and the terminal given over and back."""

import os
import shlex
import signal
import stat
from pathlib import Path

from engine.errors import UserError
from tests.support.terminal import Terminal
from tests.support.tiny import pairs, tiny_project, write_rows
from tui.terminal.editor import editor_command

import pytest

FILE = Path("/data/train.jsonl")


def program(folder: Path, name: str, text: str = "exit 0") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("editor", "expected"),
    [
        ("vi", ["+7", str(FILE)]),
        ("vim.basic", ["+7", str(FILE)]),
        ("nano", ["+7", str(FILE)]),
        ("emacs -nw", ["-nw", "+7", str(FILE)]),
        ("hx", [f"{FILE}:7"]),
        ("code", ["--wait", "--goto", f"{FILE}:7"]),
        ("code -w", ["-w", "--goto", f"{FILE}:7"]),
        ("'my editor'", [str(FILE)]),
    ],
)
def test_the_line_is_named_as_the_editor_wants_it(tmp_path: Path, editor: str, expected: list[str]) -> None:
    """VISUAL before EDITOR; an editor that is not known opens the file."""
    words = shlex.split(editor)
    program(tmp_path, words[0])
    environment = {"PATH": str(tmp_path), "VISUAL": editor, "EDITOR": "ed"}
    assert editor_command(FILE, 7, environment) == [words[0], *expected]
    assert editor_command(FILE, 7, {"PATH": str(tmp_path), "EDITOR": editor, "VISUAL": " "})[1:] == expected


def test_without_a_variable_a_usual_editor_is_taken(tmp_path: Path) -> None:
    """The first that is there; none, a missing one and a command that is none are told in a sentence."""
    path = {"PATH": str(tmp_path)}
    with pytest.raises(UserError, match="There is no editor"):
        editor_command(FILE, 1, path)
    program(tmp_path, "vi")
    assert editor_command(FILE, 1, path) == ["vi", "+1", str(FILE)]
    with pytest.raises(UserError, match="The editor 'nowhere', which EDITOR names, is not there"):
        editor_command(FILE, 1, {**path, "EDITOR": "nowhere -x"})
    with pytest.raises(UserError, match="VISUAL is no command"):
        editor_command(FILE, 1, {**path, "VISUAL": "vi 'x"})


def test_the_editor_has_the_terminal_and_the_app_has_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings as before the app, Ctrl+C the editor's own; what it wrote is checked, and undone."""
    project = tiny_project(tmp_path / "project")
    write_rows(project.train_file, pairs(5))
    good = project.train_file.read_bytes()
    project.train_file.write_bytes(good + b"not JSON\n")
    told = tmp_path / "told"
    script = f"""
trap 'echo heard >>{told}' INT
stty -a >{told}.stty
echo "$1 $2" >{told}
ls -l /proc/$$/fd/2 >>{told}
printf 'EDITING '
until read answer; do :; done  # a signal ends it in some shells
sed -i '$d' "$2"
exit 3
"""
    monkeypatch.setenv("VISUAL", str(program(tmp_path, "nano", script)))
    terminal = Terminal("-C", str(project.root), columns=100)
    terminal.wait_for("Ready for")
    terminal.press("3")
    terminal.wait_for("Ready to train.")
    terminal.press("e")
    terminal.wait_for("EDITING")
    first, told_line, *_rest = told.read_text().splitlines()
    assert first == f"+6 {project.train_file}" and "/pts/" in told_line
    assert {"isig", "icanon", "echo"} <= set(Path(f"{told}.stty").read_text().split())
    os.kill(terminal.pid, signal.SIGSTOP)  # what watches over the app sends the same Ctrl+C on, much later
    terminal.press("\x03")
    terminal.wait_until(lambda: "heard" in told.read_text(), "the editor's Ctrl+C")
    terminal.press("\x1a")  # no shell has begun the app, so nobody could let it go on
    terminal.wait_for("^Z")
    terminal.press("\n")
    terminal.wait_for("ended with code 3")
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.wait_for("z puts it back")
    terminal.wait_for("Nothing is wrong with the rows")
    assert project.train_file.read_bytes() == good
    terminal.press("z")
    terminal.wait_for("not JSON")
    assert project.train_file.read_bytes() == good + b"not JSON\n"
    assert sorted(path.name for path in project.data_dir.iterdir()) == ["train.jsonl", "valid.jsonl"]
    terminal.press("q")
    assert terminal.wait() == 0 and terminal.attributes() == terminal.first_attributes
