"""The user's editor: which one it is, and how it is told the line to open a file at."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from engine.errors import UserError, system_reason
from engine.i18n import _
from engine.sanitize import one_line

_VARIABLES = ("VISUAL", "EDITOR")
_USUAL = ("nano", "vim", "vi", "nvim", "hx", "micro", "emacs", "pico")
"""Looked for where the variables name none; the first are left without knowing them."""
_PLUS = frozenset(
    (
        *("vi", "vim", "nvim", "view", "vimx", "nvi", "kak", "nano", "pico", "micro", "joe", "jed", "ne"),
        *("emacs", "emacsclient", "mg"),
    )
)
"""Take `+LINE` before the file."""
_COLON = frozenset(("hx", "helix", "subl", "zed"))
"""Take `FILE:LINE`."""
_GOTO = frozenset(("code", "code-insiders", "codium", "vscodium", "cursor", "windsurf"))
"""Take `--goto FILE:LINE`."""
_WAIT = _GOTO | {"subl", "zed"}
"""Open a window and return at once without `--wait`."""


def editor_command(path: Path, line: int, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return what opens a file at a line: the editor of VISUAL or EDITOR, else a usual one that is there.

    Args:
        path: of the file, absolute.
        line: from 1; an editor whose form of it is not known opens the file at its beginning.
        environment: where the variables are looked up.

    Raises:
        UserError: the variable cannot be read, names what is not there, or no editor is there at all.
    """
    search = environment.get("PATH")
    name = next((name for name in _VARIABLES if environment.get(name, "").strip()), "")
    if name:
        words = _words(name, environment[name])
        if not shutil.which(words[0], path=search):
            problem = _("The editor '{editor}', which {variable} names, is not there")
            fix = _("set {variable} to one that is, such as: export {variable}=nano").format(variable=name)
            raise UserError(problem.format(editor=one_line(words[0], 80), variable=name), fix)
    else:
        words = [next((usual for usual in _USUAL if shutil.which(usual, path=search)), "")]
        if not words[0]:
            problem = _("There is no editor: neither VISUAL nor EDITOR is set, and no usual one is there")
            raise UserError(problem, _("name yours, such as: export EDITOR=nano"))
    return [*words, *_at_line(words, path, line)]


def _words(variable: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        problem = _("{variable} is no command: '{text}'").format(variable=variable, text=one_line(text, 80))
        raise UserError(problem, _("close its quotation marks")) from None


def _at_line(words: Sequence[str], path: Path, line: int) -> list[str]:
    """Return the rest of the command: the file and where to open it."""
    program = Path(words[0]).name.partition(".")[0]  # such as vim.basic
    wait = ["--wait"] if program in _WAIT and not {"--wait", "-w"} & set(words) else []
    if program in _PLUS:
        return [f"+{line}", str(path)]
    if program in _COLON:
        return [*wait, f"{path}:{line}"]
    if program in _GOTO:
        return [*wait, "--goto", f"{path}:{line}"]
    return [str(path)]


def start_editor(
    command: Sequence[str], terminal: int, without: Container[str] = ()
) -> "subprocess.Popen[bytes]":
    """Start an editor on the terminal, in this process's own job: Ctrl+Z stops both, `fg` goes on with both.

    Args:
        command: of the editor.
        terminal: descriptor of the terminal; what this process has for an error stream may be a file.
        without: variables of the environment that are this process's own.

    Raises:
        UserError: it cannot be started.
    """
    environment = {name: value for name, value in os.environ.items() if name not in without}
    try:
        return subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment)
    except OSError as error:
        problem = _("The editor '{editor}' cannot be started: {reason}")
        raise UserError(
            problem.format(editor=one_line(command[0], 80), reason=system_reason(error)),
            _("set VISUAL or EDITOR to another one, such as nano"),
        ) from None
