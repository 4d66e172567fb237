"""`eval` ends when it is told to, also while native code computes: one sentence, and nothing is kept."""

import signal
import subprocess
import sys
from pathlib import Path

from engine.project import Project
from tests.support.tiny import RUN, pairs, tiny_project, train, write_rows

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = "Stopped; nothing of this evaluation is kept."
STUCK = """
import hashlib, sys
from tui.cli.main import main
import engine.evaluation.scoring as scoring
def load(*_arguments):
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # native code that nothing interrupts
scoring.load_base = load
sys.exit(main())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run, and rows that take it a while."""
    project = tiny_project(tmp_path_factory.mktemp("stopped") / "project", train=4, valid=2)
    train(project, RUN.updated({"num_epochs": 1}))
    write_rows(project.test_file, pairs(1_500, start=1000))
    return project


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("code", "stage"), [([], "Scoring base"), ([STUCK], "Loading the base model")], ids=["rows", "stuck"]
)
def test_a_signal_ends_it(trained: Project, number: signal.Signals, code: list[str], stage: str) -> None:
    """Once a stage is told that goes on for long."""
    program = ["-c", *code] if code else ["-m", "tui"]
    with subprocess.Popen(
        [sys.executable, *program, "-C", str(trained.root), "eval", "--json"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None and process.stdout is not None
        for line in process.stderr:
            if line.startswith(stage):
                break
        process.send_signal(number)
        rest, printed = process.stderr.read(), process.stdout.read()
        assert process.wait() == 128 + number
    assert rest.splitlines() == [SENTENCE] and printed == "" and not trained.evaluations_dir.exists()
