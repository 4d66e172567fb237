"""What documents name is there: files, modules, make's targets, commands and their options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tui.cli.main import app

import pytest
import typer
from typer.core import TyperGroup

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
ROOMS = ("engine", "tui", "tests", "docs", "scripts", "benchmarks", ".github")
CODE = re.compile(r"^```[a-z]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)")
FILE = re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, ROOMS))})/[\w./*-]*\w")
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b")
"""Stands for a name of the reader's, as in tui/app/screens/NAME/."""


def code(text: str) -> Iterator[str]:
    """Yield what stands in backticks and in blocks, line by line."""
    for block, inline in CODE.findall(text):
        yield from (block or inline).splitlines()


def missing_files(text: str) -> list[str]:
    """Return the links and the paths of this project in a document that lead nowhere."""
    named = {path for line in code(text) for path in FILE.findall(line) if not PLACEHOLDER.search(path)}
    return sorted(path for path in named if not any(ROOT.glob(path)))


def missing_links(text: str, folder: Path) -> list[str]:
    """Return the links of a document that lead nowhere."""
    return [link for link in LINK.findall(text) if link and not (folder / link).exists()]


def missing_modules(text: str) -> list[str]:
    """Return the modules after `python -m` that are neither here nor another program's."""
    named = {name for line in code(text) for name in re.findall(r"-m ([\w.]+)", line)}
    ours = [name for name in named if name.split(".")[0] in ROOMS and not PLACEHOLDER.search(name)]
    return sorted(
        name
        for name in ours
        if not any((ROOT / name.replace(".", "/")).with_suffix(end).exists() for end in (".py", ""))
    )


def missing_targets(text: str) -> list[str]:
    """Return what `make` is told to do and does not know."""
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for line in code(text) for name in re.findall(r"\bmake ([a-z][\w-]*)", line)}
    return sorted(named - known)


def wrong_commands(text: str) -> list[str]:
    """Return the commands of this program that it would not take."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    wrong = []
    for line in code(text):
        for shown in re.findall(r"mqlora-tui ((?!-)[a-z][\w-]*[^#|]*)", line):
            words = shlex.split(shown.replace("[", "").replace("]", "").replace("'", ""))
            options = {word for word in words if word.startswith("--")}
            command = group.commands.get(words.pop(0))
            if isinstance(command, TyperGroup) and words:
                command = command.commands.get(words.pop(0))
            known = {name for option in getattr(command, "params", ()) for name in option.opts}
            known |= {name for option in getattr(command, "params", ()) for name in option.secondary_opts}
            if command is None or not options <= known | {"--help"}:
                wrong.append(shown)
    return wrong


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(path: Path) -> None:
    """Files, links, modules, targets, commands and options."""
    text = path.read_text(encoding="utf-8")
    assert missing_files(text) == []
    assert missing_links(text, path.parent) == []
    assert missing_modules(text) == []
    assert missing_targets(text) == []
    assert wrong_commands(text) == []


def test_both_readmes_say_the_same() -> None:
    """Section by section, command by command with its options, row by row of each table."""

    def parts(name: str) -> tuple[list[int], list[list[str]], list[int]]:
        text = (ROOT / name).read_text(encoding="utf-8")
        lines = text.splitlines()
        commands = [
            line.partition(" # ")[0].split() for line in lines if re.match("mqlora-tui |mlx_lm", line)
        ]
        return (
            [line.index(" ") for line in lines if re.match("#+ ", line)],
            [[word for word in command if re.fullmatch(r"-.*|[a-z_-]+", word)] for command in commands],
            [line.count("|") for line in lines if line.startswith("|")],
        )

    assert parts("README.pt.md") == parts("README.md")


def test_what_is_not_there_would_be_seen() -> None:
    """Each of the searches finds one."""
    text = (
        "`engine/no.py`, [x](no.md), `python -m tests.no`, `make coffee`, "
        "`mqlora-tui fly`, `mqlora-tui fit --fly`"
    )
    assert missing_files(text) == ["engine/no.py"]
    assert missing_links(text, ROOT) == ["no.md"]
    assert missing_modules(text) == ["tests.no"]
    assert missing_targets(text) == ["coffee"]
    assert wrong_commands(text) == ["fly", "fit --fly"]
