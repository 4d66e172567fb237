"""The commands in what is shown, made ready to be pasted, for the project of this process."""

from pathlib import Path

from engine import shell
from engine.dataset.report import Fault
from engine.project import Project

_project = Project(Path())


def work_in(project: Project) -> None:
    """Make `project` the one that commands in messages are meant for."""
    global _project
    _project = project


def complete(text: str, file: Path | None = None) -> str:
    """Return `text` with its commands as `engine.shell.complete` makes them."""
    return shell.complete(text, _project.root, file)


def fix_of(fault: Fault, words: str) -> str:
    """Return the words of how a fault is mended with their commands completed for the file it is in."""
    return complete(words, _project.data_dir / fault.file)


def command() -> str:
    """Return what starts this program for the project, without a command."""
    return shell.command_of(_project.root)
