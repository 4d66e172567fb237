"""A disk that takes no more, met through the command line.

The system limits the size of a file, Ctrl+C comes when the disk is full, the folder
may not be written: the command ends with exit code 1 and one sentence, and
the run goes on when there is room.
"""

import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.project import Project
from tests.campaigns.bench import Bench, Session, Try, sentence_faults, table
from tests.campaigns.common import ROOT, Result
from tests.campaigns.disk import judge
from tests.campaigns.file_system import (
    LEFT_OUT,
    allow_changes,
    can_forbid,
    can_mount,
    fill,
    forbid_changes,
    small_file_system,
)
from tests.support.tiny import RUN

LONG = RUN.updated({"num_epochs": 8, "save_every": 0, "eval_every": 0, "keep_checkpoints": 1})
"""Long enough for a signal in its first epoch."""
_FILE_LIMITS = (16, 300, 1000, 5000, 15_000)
"""Bytes: smaller than the lock, the configuration, the metrics, the adapter, the optimizer's state."""
_STEPS = (1, 2, 3, 4, 5)
"""After which Ctrl+C comes."""


def campaign(tries: int | None) -> list[Result]:
    """Make the first `tries` attacks of each kind; None makes all."""
    with tempfile.TemporaryDirectory(prefix="mqlora-commands-") as name:
        bench = Bench(Path(name), LONG)
        made, results = [*_file_limits(bench, tries)], []
        if can_forbid():
            made.append(_forbidden(bench))
        else:
            results.append(Result("a folder that may not be written", 0, 0, remark=LEFT_OUT))
        if can_mount():
            made += [_interrupted(bench, step) for step in _STEPS[:tries]]
        else:
            results.append(Result("Ctrl+C on a full disk", 0, 0, remark=LEFT_OUT))
    return table(made) + results


def _command(bench: Bench, project: Project) -> list[str]:
    bench.config.save(project.root / "run.json")
    options = ["-C", str(project.root), "train", "--json", "--config", str(project.root / "run.json")]
    return [sys.executable, "-m", "tui", *options]


def _refusal(process: "subprocess.Popen[str]", faults: list[str]) -> Session:
    """Wait for a process that has to end with exit code 1 and one sentence."""
    errors = process.communicate()[1].strip()
    if process.returncode != 1 or len(errors.splitlines()) != 1:
        faults.append(f"exit {process.returncode}: {errors}")
    faults.extend(sentence_faults(errors))
    return Session(refusal=errors)


def _start(command: list[str], file_limit: int = resource.RLIM_INFINITY) -> "subprocess.Popen[str]":
    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, preexec_fn=set_limit)


def _file_limits(bench: Bench, tries: int | None) -> Iterator[Try]:
    for limit in _FILE_LIMITS[:tries]:
        project, faults = bench.copy(), list[str]()
        session = _refusal(_start(_command(bench, project), limit), faults)
        more, lost = judge(bench, project, session, is_struck=False)
        yield Try("a limit on file sizes: exit 1", tuple(f"{limit}: {f}" for f in faults + more), lost)


def _interrupted(bench: Bench, step: int) -> Try:
    """Ctrl+C cannot save: it must not look like a pause."""
    faults = list[str]()
    with small_file_system(bench.folder, 4 << 20) as folder:
        project = bench.copy(folder / "project")
        process = _start(_command(bench, project))
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event.get("event") == "step_done" and event["step"] == step:
                fill(folder / "filler", 0)
                process.send_signal(signal.SIGINT)
                break
        session = _refusal(process, faults)
        (folder / "filler").unlink(missing_ok=True)
        more, _lost = judge(bench, project, session, is_struck=False)
    return Try("Ctrl+C on a full disk: exit 1", tuple(f"step {step}: {fault}" for fault in faults + more))


def _forbidden(bench: Bench) -> Try:
    """A folder that may not be written is left as it is."""
    project, faults = bench.copy(), list[str]()
    command = _command(bench, project)
    project.run_dir.mkdir()
    forbid_changes(project.run_dir)
    try:
        session = _refusal(_start(command), faults)
    finally:
        allow_changes(project.run_dir)
    faults += [] if "make the folder writable" in session.refusal else [session.refusal]
    faults += [f"left {path.name}" for path in project.run_dir.iterdir()]
    return Try("a folder that may not be written: exit 1", tuple(faults))
