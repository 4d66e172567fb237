"""Measuring in a child process: what it answers, how it dies, and that nothing else does."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from threading import Event

from engine.config import TrainingConfig
from engine.errors import Cancelled, UserError
from engine.fit import measure
from engine.fit.measure import measure_fit
from engine.fit.sentences import outcome, refusal
from engine.project import Project
from tests.support.tiny import RUN

import pytest

BUDGET = {"device": "cpu", "free": 8_000_000_000, "total": 16_000_000_000}
SHAPE = {"rows": 2, "length": 64, "targets": 40, "tokens": 100, "overhead": 0.0}
BEGIN = (
    "import os, sys, time; say = lambda x: print(x, flush=True); "
    f"say({json.dumps({'memory_budget': BUDGET})!r});"
)
BEFORE_LOADING = f"say({json.dumps({'shape': SHAPE})!r});"


def measured(peak: int, process: int) -> str:
    """Return the code of a child that comes to its end."""
    sizes = {"peak": peak, "process": process, "predicted": 1_000_000_000}
    found = json.dumps({"measured": {**sizes, "seconds": 1.25, "adapts": False}})
    return f"{BEGIN}{BEFORE_LOADING}say({found!r})"


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return what puts a short program in the place of the child."""
    return monkeypatch


def put(child: pytest.MonkeyPatch, code: str) -> None:
    """Let the child be `code`."""
    child.setattr(measure, "CHILD", ("-c", code))


def test_a_real_measurement(project: Project) -> None:
    """The tiny model: the largest shape of its data, a real peak within the process, nothing written."""
    before = sorted(project.root.rglob("*"))
    reported: list[str] = []
    fit = measure_fit(project, RUN, reported.append)
    assert fit.fits and fit.measured
    assert 40 <= fit.shape.length <= RUN.max_seq_length
    assert RUN.batch_size <= fit.shape.rows <= RUN.examples_per_step
    assert 0 < fit.shape.targets < fit.shape.tokens <= RUN.batch_size * RUN.max_seq_length
    assert (
        100_000 < fit.measured.peak < fit.measured.process < fit.memory_budget.free <= fit.memory_budget.total
    )
    assert fit.measured.seconds > 0
    assert fit.measured.predicted == pytest.approx(fit.measured.peak, rel=0.5)
    assert len(reported) == 4
    assert sorted(project.root.rglob("*")) == before


def test_without_data_the_longest_rows_are_tried(project: Project) -> None:
    """Before there are rows the configuration's limit counts, every position trained."""
    project.train_file.unlink()
    project.valid_file.unlink()
    fit = measure_fit(project, RUN)
    assert (fit.shape.tokens, fit.shape.length) == (RUN.batch_size * 64, 64)
    assert fit.shape.targets == fit.shape.rows * 63


def test_a_run_that_would_be_refused_is_refused(project: Project) -> None:
    """In the words of the run."""
    with pytest.raises(UserError, match="gradient_checkpointing=on does not go with"):
        measure_fit(project, RUN.updated({"gradient_checkpointing": "on", "lora_dropout": 0.1}))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "killed"),
        ("sys.stderr.write('std::bad_alloc\\n'); sys.stderr.flush(); os.abort()", "signal 6"),
        ("sys.stderr.write('[METAL] Insufficient Memory\\n'); sys.stderr.flush(); os.abort()", "MLX ran out"),
        ("os.kill(os.getpid(), 11)", "signal 11"),
        ("raise MemoryError", "MLX did not get"),
        ('say(\'{"refused": ["[malloc] Unable to allocate 9 bytes", ""]}\')', "MLX did not get"),
    ],
)
def test_the_childs_death_for_memory_is_an_answer(
    project: Project, child: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    """However it dies: it does not fit, and what was tried is known."""
    put(child, BEGIN + BEFORE_LOADING + code)
    fit = measure_fit(project, RUN)
    assert not fit.fits and fit.measured is None and reason in fit.reason
    assert asdict(fit.shape) == SHAPE
    assert "does not fit" in refusal(project, RUN, fit).problem


@pytest.mark.parametrize("code", ["raise ValueError('odd')", "sys.exit(3)", "0"])
def test_another_end_is_not_taken_for_one(project: Project, child: pytest.MonkeyPatch, code: str) -> None:
    """A defect says nothing about memory."""
    put(child, BEGIN + BEFORE_LOADING + code)
    with pytest.raises(UserError, match="without an answer"):
        measure_fit(project, RUN)


def test_other_output_is_no_answer(project: Project, child: pytest.MonkeyPatch) -> None:
    """A library's words, and a line torn by a death, are left out."""
    put(child, "print('hello'); print('[1]'); " + measured(1, 2) + "; sys.stdout.write('{\"measu')")
    assert measure_fit(project, RUN).fits


def test_swapping_is_not_fitting(project: Project, child: pytest.MonkeyPatch) -> None:
    """It came to its end, but with more than was free."""
    put(child, measured(8_500_000_000, 8_900_000_000))
    fit = measure_fit(project, RUN)
    assert not fit.fits and fit.measured and "8.9 GB" in fit.reason
    assert "8.5 GB measured, 1.0 GB predicted" in outcome(fit)


def test_a_measurement_can_be_cancelled(project: Project, child: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its process is ended, not waited for."""
    late = tmp_path / "late"
    code = f"say('{{\"phase\": \"loading\"}}'); time.sleep(5); open({str(late)!r}, 'w')"
    put(child, BEGIN + code)
    cancel = Event()
    with pytest.raises(Cancelled):
        measure_fit(project, RUN, lambda _text: cancel.set(), cancel)
    assert not late.exists()


def test_a_measurement_ends_in_time(project: Project, child: pytest.MonkeyPatch) -> None:
    """A machine that swaps would take hours."""
    put(child, BEGIN + "time.sleep(60)")
    with pytest.raises(UserError, match="took longer than 0 s"):
        measure_fit(project, RUN, limit_s=0.2)


def test_the_child_ends_with_its_parent(project: Project) -> None:
    """Whoever asked may be killed: nobody else would end it."""
    config = TrainingConfig(max_seq_length=16).model_dump_json()
    arguments = [sys.executable, *measure.CHILD, str(project.root), config]
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    output, _errors = process.communicate(timeout=60)
    assert process.returncode == 1 and b"measured" not in output
