"""Commands in messages: each exists, and runs as it stands when it is pasted."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from engine import shell
from engine.analysis.report import format_report
from engine.analysis.summary import summarise
from engine.analysis.verdict import judge
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.project import Project
from tests.support.fake_run import write_run
from tui.cli.main import app
from tui.console import refuse
from tui.shell import complete, fix_of, laid_out, work_in

import pytest
import typer
from typer.core import TyperGroup

SOURCES = Path(__file__).parents[2]
_SHOWN = re.compile(r"mqlora-tui ((?:[a-z][a-z-]*)(?: (?:--?[\w-]+(?:=\S+)?|[A-Z]+|\{\w+\}|chosen))*)")


def shown_commands() -> Iterator[str]:
    """Yield every command that a text of the program names."""
    for folder in ("engine", "tui"):
        for path in (SOURCES / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield from (found[1] for found in _SHOWN.finditer(node.value) if _is_command(found[1]))


def _is_command(words: str) -> bool:
    return words.split()[0] in shell.COMMANDS


def command_line() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def parse(words: list[str]) -> None:
    """Let the command line parse `words` without running them."""
    group = command_line()
    with group.make_context("mqlora-tui", list(words)) as context:
        name, command, rest = group.resolve_command(context, words)
        assert command is not None
        command.make_context(name, rest, parent=context)


def test_the_known_commands_are_those_of_the_command_line() -> None:
    """None is missing, none is made up."""
    assert set(shell.COMMANDS) == set(command_line().commands)


def test_every_command_in_a_message_parses() -> None:
    """Also their options; braces stand for options or values that are put in."""
    commands = set(shown_commands())
    assert len(commands) > 12
    for words in commands:
        parse(shlex.split(words.replace("{options}", "--half-micro-batch").replace("{port}", "8081")))


def test_a_command_that_is_not_there_would_be_seen() -> None:
    """The check above can fail."""
    with pytest.raises(Exception, match="No such option"):
        parse(["train", "--fly"])


def test_commands_name_the_project_unless_it_is_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With quotes where a shell needs them; the name of the program alone is no command."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    root = tmp_path / "o meu projeto"
    root.mkdir()
    text = "install mqlora-tui again; see: mqlora-tui report, then: mqlora-tui train --restart"
    there = f"mqlora-tui -C '{root}'"
    complete = f"install mqlora-tui again; see: {there} report, then: {there} train --restart"
    assert shell.complete(text, root) == complete
    assert shell.complete(complete, root) == complete, "twice is like once"
    monkeypatch.chdir(root)
    assert shell.complete(text, root) == text


def test_commands_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another folder, in a shell that does not find the program."""
    root = tmp_path / "a b$(touch c)'"
    root.mkdir()
    launcher = tmp_path / "bin" / shell.NAME  # as installing would write one
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tui "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(launcher.with_name("python")))
    monkeypatch.setenv("PYTHONPATH", str(SOURCES))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (said,) = shell.complete("see: mqlora-tui plot", root).split(": ")[1:]
    ran = subprocess.run(said, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 1 and "train first: " in ran.stderr, ran.stderr
    assert not (tmp_path / "c").exists() and not (root / "c").exists()


def test_a_refusal_shows_the_complete_command(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever raises it knows nothing of shells."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    work_in(project)
    refuse(UserError("No run", "start one with: mqlora-tui train"))
    assert capsys.readouterr().err == f"No run; start one with: mqlora-tui -C {project.root} train\n"


def test_a_command_at_the_end_of_a_sentence_has_no_full_stop() -> None:
    """It would become part of the command."""
    assert str(UserError("No run", "start one with: mqlora-tui train")).endswith("mqlora-tui train")
    assert str(UserError("No run", "see: mqlora-tui check (which tells)")).endswith("(which tells).")
    assert str(UserError("No run", "mqlora-tui is not there")).endswith(".")


def test_a_fault_names_its_file_in_the_command(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """FILE is only what stands for it where nothing is known of it."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    work_in(project)
    fault = Fault("valid.jsonl", 1, None, "x", "error", "no", "run: mqlora-tui import FILE --answer chosen")
    command = f"mqlora-tui -C {project.root} import {project.valid_file} --answer chosen"
    assert fix_of(fault, fault.fix) == f"run: {command}"


def test_the_report_of_another_folder_can_be_pasted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its paths exist from where the shell is, and its commands name the project."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    write_run(project, "finished")
    summary = summarise(project)
    text = format_report(summary, judge(summary))
    joined = re.sub(r"\\\n\s+", "", text)
    assert f"mqlora-tui -C {project.root} chat" in joined
    assert f"mqlora-tui -C {project.root} export --to=ollama" in joined
    (generate,) = (line.split() for line in joined.splitlines() if "mlx_lm.generate" in line)
    for option in ("--model", "--adapter-path"):
        assert Path(generate[generate.index(option) + 1]).is_dir()


def test_why_a_run_failed_can_be_pasted_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state holds the refusal as it was raised, for whichever shell reads it."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    write_run(project, "failed", 30, reason="The disk is full; free some, then run: mqlora-tui train")
    summary = summarise(project)
    said = " ".join(format_report(summary, judge(summary)).split())
    assert f"then run: mqlora-tui -C {project.root} train." in said


def test_a_program_that_the_shell_does_not_find_is_named_with_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An environment that is not activated."""
    (tmp_path / "bin of mine").mkdir()
    (tmp_path / "bin of mine" / shell.NAME).touch()
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin of mine" / "python"))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert shell.complete("mqlora-tui check", Path.cwd()) == f"'{tmp_path}/bin of mine/mqlora-tui' check"


@pytest.mark.parametrize("width", [30, 50, 78])
def test_a_command_over_several_lines_is_pasted_as_one(width: int) -> None:
    """Each line but the last ends with a backslash; no word is broken, and no line is too long for it."""
    path = "/a/folder/of/24/letters"
    command = f"mlx_lm.generate --model {path} --adapter-path {path} --prompt 'Your question, it is'"
    lines = shell.continued(command, width)
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == shlex.split(command)
    assert all(line.endswith(" \\") for line in lines[:-1]) and not lines[-1].endswith("\\")
    assert all(len(line) <= width or len(line.split()) <= 2 for line in lines)


def test_a_command_at_the_end_of_a_message_is_not_wrapped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays in the line where it has room; an odd name in it breaks nothing."""
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    work_in(project)
    text = "import it without the rest: mqlora-tui import rows.csv --answer it's"
    completed = complete(text)
    assert laid_out(text, len(completed)) == completed
    first, *lines = laid_out(text, 60).split("\n")
    assert first == "import it without the rest:" and lines[-1].split()[-1] == "it's"
    assert all(line.endswith(" \\") for line in lines[:-1])
    pasted = " ".join(line.removesuffix("\\").strip() for line in lines)
    assert completed == f"{first} {pasted}"
