"""The commands in what is shown, made ready to be pasted, for the project of this process."""

from pathlib import Path

from engine import shell
from engine.dataset.report import Fault
from engine.project import Project
from engine.shell import at_end, continued

from rich.cells import cell_len

_project = Project(Path())


def work_in(project: Project) -> None:
    """Make `project` the one that commands in messages are meant for."""
    global _project
    _project = project


def complete(text: str, file: Path | None = None) -> str:
    """Return `text` with its commands as `engine.shell.complete` makes them."""
    return shell.complete(text, _project.root, file)


def laid_out(text: str, width: int, file: Path | None = None, before: int = 0) -> str:
    """Return `text` as `complete` does; a command at its end is not wrapped, but continued with backslashes.

    Args:
        text: what is shown.
        width: columns of a line.
        file: what stands for `FILE` in the commands; None leaves that.
        before: columns of what stands before it on the line.
    """
    done, (sentence, command) = complete(text, file), at_end(text)
    if not command or before + cell_len(done) <= width:
        return done
    return "\n".join([complete(sentence, file), *continued(complete(command, file), width)])


def fix_of(fault: Fault, words: str) -> str:
    """Return the words of how a fault is corrected with their commands completed for the file it is in."""
    return complete(words, file_of(fault))


def file_of(fault: Fault) -> Path:
    """Return the file that a fault is in."""
    return _project.data_dir / fault.file


def command() -> str:
    """Return what starts this program for the project, without a command."""
    return shell.command_of(_project.root)
