"""The real program on a real terminal when MLX takes the process down."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from engine.project import Project
from engine.training.lock import lock_owner
from engine.training.state import RunState
from tests.support.app_on_pty import app_while_training, steps, wait_until
from tests.support.terminal import Terminal
from tests.support.tiny import tiny_project

import pytest

ROOT = Path(__file__).parents[2]


def wait_for_question(terminal: Terminal, number: int) -> None:
    """Read until the question was asked for the `number`th time: the screen still shows the one before."""
    terminal.wait_until(lambda: terminal.output.count(b"q  leave") == number, "the question")


def trainer_of(project: Project) -> int:
    owner = lock_owner(project)
    assert owner is not None
    return owner.pid


@pytest.mark.parametrize("number", [signal.SIGABRT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_crash_in_the_app_restores_the_terminal_and_goes_on_with_one_key(
    project: Project, number: signal.Signals
) -> None:
    """The sentence, the question, half the micro-batch at `h`; then again, and out at `q`."""
    terminal = app_while_training(project)
    os.kill(trainer_of(project), number)
    wait_for_question(terminal, 1)
    assert terminal.output.rindex(b"\x1b[?1049l") < terminal.output.rindex(b"q  leave")
    assert b"\x1b[?25h" in terminal.output
    assert "the run is safe in checkpoint_epoch0_step" in " ".join(terminal.text.split())
    begun = steps(project)
    terminal.press("h")
    wait_until(lambda: steps(project) > begun + 3)
    state = RunState.load(project.state_file)
    assert state is not None and state.is_alive and state.micro_batch_divisor == 2
    os.kill(trainer_of(project), number)
    wait_for_question(terminal, 2)
    terminal.press("q")
    assert terminal.wait() == 128 + number
    assert terminal.attributes() == terminal.first_attributes
    state = RunState.load(project.state_file)
    assert state is not None and state.status == "failed" and f"signal {number:d}" in state.reason


@pytest.mark.slow
def test_a_crash_without_anybody_there_goes_on_by_itself(project: Project) -> None:
    """A headless run whose process is killed is there again, and ends with what was asked of it."""
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "train", "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as supervisor:
        wait_until(lambda: steps(project) > 60)
        first = trainer_of(project)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: (owner := lock_owner(project)) is not None and owner.pid not in (0, first))
        killed_at = steps(project)  # not more than at the kill: what follows the checkpoint is trained again
        wait_until(lambda: steps(project) > killed_at)
        supervisor.send_signal(signal.SIGTERM)
        out, err = supervisor.communicate(timeout=60)
    assert supervisor.returncode == 128 + signal.SIGTERM
    assert "was killed (signal 9)" in err and "Going on from there." in err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["event"] == "paused"
    rows = [json.loads(line)["step"] for line in project.metrics_file.read_text().splitlines()]
    assert rows == list(range(1, events[-1]["step"] + 1))


def test_memory_that_runs_out_is_explained(tmp_path: Path) -> None:
    """A limit on the address space: MLX cannot allocate, and the user is told what to lower."""
    project = tiny_project(tmp_path, train=40, valid=10)

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1_200_000_000, 1_200_000_000))

    big = ["--set", "batch_size=4096", "--set", "lora_rank=8", "--profile", "SAFE"]
    command = [sys.executable, "-m", "tui", "-C", str(project.root), "train", *big]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, preexec_fn=confine,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode != 0
