"""Commands of the program, run in this process."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engine.project import Project
from tui.cli.main import main

import pytest


class Outcome(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What it printed as JSON, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Mqlora = Callable[..., Outcome]
QUICK = ("train", "--set", "num_epochs=1", "--set", "max_seq_length=64", "--set", "eval_every=0")
"""A run that takes as little time as one can."""


def caller(project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mqlora:
    """Return what runs one command in a project."""

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["mqlora-tui", "-C", str(project.root), *arguments])
        code = main()
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


def tree(root: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
