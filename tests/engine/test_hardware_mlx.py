"""MLX looked at in a child process, and the whole probe on this machine."""

import json
import subprocess
import sys
from pathlib import Path

from engine.hardware import mlx_facts
from engine.hardware.mlx_facts import MlxFacts, check_blas, check_mlx, read_facts
from engine.hardware.probe import iter_checks, probe
from engine.hardware.report import ORDER, Check, HardwareReport
from engine.project import Project

import pytest

GB = 1_000_000_000


def child(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_facts_of_the_child_are_read() -> None:
    """The last line of its output counts; libraries may print before."""
    facts = {"accelerator": "metal", "device": "Apple M2 Pro", "gpu_memory": 11 * GB}
    found = read_facts(child(f"print('a warning'); print({json.dumps(facts)!r})"))
    assert found == MlxFacts("metal", "Apple M2 Pro", 11 * GB)
    assert check_blas(found) is None
    checked = check_mlx(found)
    assert checked.status == "ok"
    assert checked.value.endswith("Metal, 11.0 GB")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "instruction"),
        (
            "import os; os.write(2, b'no Metal device'); os.abort()",
            "SIGABRT; no Metal",
        ),
        ("import no_such_module", "not installed"),
        ("raise RuntimeError('driver too old')", "driver too old"),
        ("print('not JSON')", "not JSON"),
        ("print('[1]')", "does not start"),
        ("raise SystemExit(3)", "no message"),
    ],
)
def test_a_child_that_dies_becomes_an_error_with_advice(code: str, problem: str) -> None:
    """A crash of MLX must not be one of the app."""
    found = check_mlx(read_facts(child(code)))
    assert found.status == "error"
    assert problem in found.detail
    assert found.fix


def test_a_child_that_hangs_is_ended() -> None:
    """A GPU driver can block; the report says so and the child is gone."""
    hanging = child("import time; time.sleep(600)")
    found = read_facts(hanging, timeout=0.05)
    assert "did not answer" in found.problem
    assert hanging.returncode is not None


def test_what_the_child_prints_cannot_steer_the_terminal() -> None:
    """Control characters of an error message are made visible."""
    found = read_facts(child("raise RuntimeError('\\x1b[2J')"))
    assert "\x1b" not in found.problem


@pytest.mark.parametrize(
    ("facts", "status", "value"),
    [
        (MlxFacts(blas="OpenBLAS", gflops=245.4), "ok", "OpenBLAS, 245 GFLOP/s in float32"),
        (MlxFacts(blas="OpenBLAS", gflops=19.0), "warning", "OpenBLAS, 19 GFLOP/s in float32"),
        (
            MlxFacts(blas="reference BLAS", blas_problem="none found", blas_fix="install one", gflops=4.5),
            "warning",
            "reference BLAS, 4 GFLOP/s in float32",
        ),
    ],
)
def test_the_speed_of_the_blas_is_judged(facts: MlxFacts, status: str, value: str) -> None:
    """The figure is measured, so a slow OpenBLAS is seen too."""
    found = check_blas(facts)
    assert found is not None
    assert (found.status, found.value) == (status, value)


def test_a_missing_compiler_is_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLX builds its CPU kernels with g++ at run time."""
    monkeypatch.setattr(mlx_facts, "has_compiler", lambda: False)
    assert check_mlx(MlxFacts(blas="OpenBLAS", gflops=200.0)).status == "warning"
    assert check_mlx(MlxFacts("metal", "Apple M2")).status == "ok"


def test_a_missing_mlx_lm_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLX alone loads no model."""
    monkeypatch.setattr(mlx_facts, "package_version", lambda package: "0.32.4" if package == "mlx" else "")
    found = check_mlx(MlxFacts("cuda", "NVIDIA H100", 79 * GB))
    assert found.status == "error"
    assert found.value == "mlx 0.32.4, mlx-lm missing, CUDA, NVIDIA H100, 79.0 GB"


def test_quick_checks_come_before_the_one_of_mlx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen can show all else while MLX starts; leaving early ends the child."""
    started: list[subprocess.Popen[str]] = []

    def hang() -> "subprocess.Popen[str]":
        started.append(child("import time; time.sleep(600)"))
        return started[0]

    monkeypatch.setattr("engine.hardware.mlx_facts.start_probe", hang)
    looking = iter_checks(Project(tmp_path))
    quick = [next(looking).id for _ in range(8)]
    looking.close()
    assert set(quick) == set(ORDER) - {"mlx", "blas", "weights"}
    assert started[0].returncode is not None


def test_a_dead_mlx_leaves_a_whole_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is still reported, in the screen's order."""
    monkeypatch.setattr("engine.hardware.mlx_facts.start_probe", lambda: child("import os; os.abort()"))
    report = probe(Project(tmp_path))
    assert [check.id for check in report.checks] == [
        name for name in ORDER if name not in ("blas", "weights")
    ]
    assert report.status == "error"
    assert report.memory_available <= report.memory_total


def test_the_real_machine_is_reported(tmp_path: Path) -> None:
    """MLX starts here in its child; model and data are what is missing."""
    report = probe(Project(tmp_path))
    errors = {check.id for check in report.checks if check.status == "error"}
    assert errors == {"model", "data"}
    assert report.accelerator in ("metal", "cuda", "cpu")
    assert (report.gpu_memory is None) == (report.accelerator == "cpu")


def test_the_worst_check_is_the_status() -> None:
    """An error outweighs a warning."""

    def status(*found: Check) -> str:
        return HardwareReport(found, 0, 0, 0, "cpu", "").status

    ok, warning, error = Check("a", "", "", "ok"), Check("b", "", "", "warning"), Check("c", "", "", "error")
    assert (status(), status(ok, warning), status(warning, error)) == ("ok", "warning", "error")


def test_importing_it_never_imports_mlx() -> None:
    """The app imports this before it knows whether MLX can start."""
    code = (
        "import sys, engine.hardware.probe, engine.profiles, engine.memory.predict; "
        "print([m for m in sys.modules if m.split('.')[0] in ('mlx', 'mlx_lm', 'numpy', 'textual', 'typer')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
