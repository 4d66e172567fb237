"""What the system says of a file is told in the reader's language."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from engine.errors import UserError, system_reason
from engine.i18n.languages import VARIABLE

import pytest

ROOT = Path(__file__).parents[2]
STRERROR = re.compile(r"(?<!os)\.strerror")
"""What Python tells in English, whatever the language."""
ITS_OWN = ("engine/errors.py", "engine/files.py", "engine/runs/record.py", "tui/launch.py")
"""They translate it, hold a sentence of ours in it, or speak before there is a language."""


def test_a_usual_reason_is_translated_and_another_stays(tmp_path: Path) -> None:
    """One of other numbers, such as those of names of machines, is not taken for it."""
    code = (
        "from engine.errors import system_reason as said; import errno, os; "
        "print(said(OSError(errno.ENOENT, os.strerror(errno.ENOENT))), said(OSError(errno.ENOENT, 'own')))"
    )
    environment = {**os.environ, VARIABLE: "pt"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "ficheiro ou pasta inexistente own\n"
    with pytest.raises(OSError, match="No such file") as missing:
        (tmp_path / "no").read_bytes()
    assert system_reason(missing.value) == "No such file or directory"
    assert (
        system_reason(socket.gaierror(8, "nodename nor servname provided"))
        == "nodename nor servname provided"
    )
    assert system_reason(TimeoutError("timed out")) == "timed out"


def test_nobody_tells_it_in_english() -> None:
    """In no sentence of ours."""
    files = [path.relative_to(ROOT) for folder in ("engine", "tui") for path in (ROOT / folder).rglob("*.py")]
    found = [str(path) for path in files if STRERROR.search((ROOT / path).read_text(encoding="utf-8"))]
    assert sorted(set(found) - set(ITS_OWN)) == []


def test_a_question_at_the_end_has_no_full_stop() -> None:
    """Such as whether another name was meant."""
    assert str(UserError("Unknown key 'a'", "did you mean 'b'?")) == "Unknown key 'a'; did you mean 'b'?"
