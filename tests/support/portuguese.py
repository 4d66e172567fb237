"""Tests in a process that speaks Portuguese: a process speaks one language, from its beginning on."""

import os
import subprocess
import sys
from pathlib import Path

from engine.i18n.languages import VARIABLE

ROOT = Path(__file__).parents[2]


def pass_in_portuguese(folder: Path, *arguments: str) -> None:
    """Let pytest run tests in Portuguese.

    Args:
        folder: an empty one, for their files.
        arguments: of pytest.

    Raises:
        AssertionError: they did not pass; with the end of what pytest said.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", ""]
    done = subprocess.run(
        [*command, f"--basetemp={folder / 'pt'}", *arguments],
        cwd=ROOT,
        env={**os.environ, VARIABLE: "pt"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
