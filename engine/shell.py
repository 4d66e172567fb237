"""Commands in messages, as a shell in the present folder needs them.

Messages name commands briefly, such as `mqlora-tui train`, and so they are stored and
passed on. Whoever shows one completes it here, for the one place that knows what the
shell that it is pasted into would lack.
"""

import os
import re
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

NAME = "mqlora-tui"
COMMANDS = (
    *(
        "chat",
        "check",
        "clean",
        "convert",
        "demo",
        "eval",
        "export",
        "fit",
        "get",
        "history",
        "hosts",
        "import",
        "mend",
        "models",
        "monitor",
    ),
    *("plot", "profiles", "report", "reproduce", "selftest", "serve", "train", "tune"),
    *("undo", "use", "validate", "verify-resume"),
)
"""What `mqlora-tui` can be told to do."""
_COMMAND = re.compile(rf"(?<![\w./-]){NAME}(?= (?:--go-on|{'|'.join(COMMANDS)})\b)")
_AT_END = re.compile(rf": {NAME} [^;()]*$|pip install \S+$")
_OWN_AT_END = re.compile(rf": {NAME} [^;()]*$")
_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|\S)+""")
_FIRST, _FURTHER = 5, 9
"""Columns by which the lines of a command are indented."""
_FILE = re.compile(rf"({NAME}[^;]*? import )FILE\b")


def complete(text: str, root: Path, file: Path | None = None) -> str:
    """Return `text` with the commands of this program in it made ready to be pasted.

    Args:
        text: what is shown, on one line or several.
        root: folder of the project that is meant; named where it is not the present one.
        file: what stands for `FILE` in the commands; None leaves that.
    """
    done = _COMMAND.sub(lambda _match: command_of(root), text)
    return for_file(done, file) if file else done


def for_file(text: str, file: Path) -> str:
    """Return `text` with `file` where its commands of this program have `FILE`."""
    return _FILE.sub(lambda found: found[1] + path_of(file), text)


def ended(text: str) -> str:
    """Return a sentence with its full stop, which would spoil a command at its end."""
    return text if text.endswith("?") or _AT_END.search(text) else f"{text}."


def at_end(text: str) -> tuple[str, str]:
    """Split a text before the command of this program at its end; without one the second part is empty."""
    found = _OWN_AT_END.search(text)
    return (text[: found.start() + 1], found[0][2:]) if found else (text, "")


def continued(command: str, width: int) -> list[str]:
    """Return a command on indented lines; all but the last end with a backslash, so that it can be pasted.

    An option stays with its value where a line has room for both; no word is broken.

    Args:
        command: ready to be pasted.
        width: columns of a line.
    """
    lines: list[str] = []
    for option in _options(command):
        whole = " ".join(option)
        for part in [whole] if _fits(whole, width) else option:
            if lines and len(lines[-1]) + len(part) + 3 <= width:
                lines[-1] += f" {part}"
            else:
                indent = _FURTHER if lines and _fits(part, width) else _FIRST
                lines.append(f"{' ' * indent}{part}")
    return [line + " \\" for line in lines[:-1]] + lines[-1:]


def _fits(part: str, width: int) -> bool:
    """Whether a part of a command has room on a line of its own, indented and with a backslash."""
    return _FURTHER + len(part) + 2 <= width


def _options(command: str) -> list[list[str]]:
    """Split a command before each of its options, which keep their values."""
    options: list[list[str]] = []
    for word in _WORD.findall(command):
        if not options or word.startswith("-"):
            options.append([])
        options[-1].append(word)
    return options


def command_of(root: Path) -> str:
    """Return what starts this program for a project, without a command."""
    return program(NAME) + ("" if _is_here(root) else f" -C {shlex.quote(os.fspath(root))}")


def program(name: str) -> str:
    """Return what starts a program of this environment: its name where a shell finds it, else its path."""
    path = Path(sys.executable).parent / name
    if shutil.which(name) or not path.is_file():
        return name
    return shlex.quote(os.fspath(path))


def path_of(path: Path) -> str:
    """Return a path, relative to the present folder where it is below that."""
    here = Path.cwd()
    return shlex.quote(os.fspath(path.relative_to(here) if path.is_relative_to(here) else path))


def installing(package: str) -> str:
    """Return what installs a package into this environment."""
    python, package = shlex.quote(sys.executable), shlex.quote(package)
    if find_spec("pip"):
        return f"{python} -m pip install {package}"
    return f"uv pip install --python {python} {package}"


def _is_here(root: Path) -> bool:
    try:
        return root.samefile(Path.cwd())
    except OSError:
        return False
