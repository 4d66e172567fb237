"""What MLX finds on this machine, asked in a child process; and the checks that follow."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.blas import has_compiler
from engine.hardware.report import Accelerator, Check
from engine.i18n import _
from engine.sanitize import one_line
from engine.units import size

TIMEOUT_S = 20.0
SLOW_GFLOPS = 20.0
"""Float32 speed below which no optimised BLAS can be at work (the reference one reaches 3-5)."""
_ROOT = Path(__file__).parents[2]
_NAMES = {"metal": "Metal", "cuda": "CUDA", "cpu": "CPU"}


@dataclass(frozen=True)
class MlxFacts:
    """The child's answer, or why there was none."""

    accelerator: Accelerator = "cpu"
    device: str = ""
    """Name of the device that MLX computes on."""
    gpu_memory: int | None = None
    """Bytes a GPU may use; None on a CPU."""
    blas: str = ""
    """Name of the BLAS on Linux CPUs, else empty."""
    blas_problem: str = ""
    blas_fix: str = ""
    gflops: float | None = None
    """Measured float32 speed in GFLOP/s, on Linux CPUs."""
    problem: str = ""
    """Why MLX cannot be used; empty when it can."""
    fix: str = ""


def start_probe() -> "subprocess.Popen[str]":
    """Start the child; `read_facts` waits for its answer."""
    return subprocess.Popen(
        [sys.executable, "-m", "engine.hardware.mlx_probe"],
        cwd=_ROOT,  # where `engine` is found, installed or not
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def read_facts(child: "subprocess.Popen[str]", timeout: float = TIMEOUT_S) -> MlxFacts:
    """Wait for the child at most `timeout` seconds and return what it found; never raises."""
    try:
        output, errors = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return MlxFacts(
            problem=_("MLX did not answer within {n:.0f} s").format(n=timeout),
            fix=_("end other programs that use the GPU, then check again"),
        )
    if child.returncode == 0:
        try:
            return MlxFacts(**json.loads(output.strip().rpartition("\n")[2]))
        except (ValueError, TypeError):
            errors = output
    return _failure(child.returncode, errors)


def check_mlx(facts: MlxFacts) -> Check:
    """Check that MLX and mlx-lm are installed and that MLX starts."""
    versions = [f"{name} {package_version(name) or _('missing')}" for name in ("mlx", "mlx-lm")]
    if facts.problem:
        return Check("mlx", _("MLX"), ", ".join(versions), "error", facts.problem, facts.fix)
    memory = [size(facts.gpu_memory)] if facts.gpu_memory else []
    device = [one_line(facts.device, 40)] if facts.accelerator == "cuda" else []
    value = ", ".join([*versions, _NAMES[facts.accelerator], *device, *memory])
    if not package_version("mlx-lm"):
        fix = _("run: pip install mlx-lm")
        return Check("mlx", _("MLX"), value, "error", _("mlx-lm is not installed"), fix)
    if facts.blas and not has_compiler():
        detail = _("There is no g++, so training steps run uncompiled and slower")
        return Check("mlx", _("MLX"), value, "warning", detail, _("install a C++ compiler (g++)"))
    return Check("mlx", _("MLX"), value, "ok")


def check_blas(facts: MlxFacts) -> Check | None:
    """Check that an optimised BLAS is really used; None where MLX needs none from outside."""
    if not facts.blas or facts.gflops is None:
        return None
    value = _("{name}, {speed:.0f} GFLOP/s in float32").format(name=facts.blas, speed=facts.gflops)
    if facts.blas_problem:
        return Check("blas", _("BLAS"), value, "warning", facts.blas_problem, facts.blas_fix)
    if facts.gflops < SLOW_GFLOPS:
        detail = _("Matrix products are slow, so training will be")
        fix = _("end other programs that use the processor, then check again")
        return Check("blas", _("BLAS"), value, "warning", detail, fix)
    return Check("blas", _("BLAS"), value, "ok")


def _failure(returncode: int, errors: str) -> MlxFacts:
    """Return the cause and the advice for a child that ended without an answer."""
    last = one_line(errors.strip().rpartition("\n")[2], 200)
    if "ModuleNotFoundError" in last:
        return MlxFacts(
            problem=_("MLX is not installed ({reason})").format(reason=last),
            fix=_("install mqlora-tui again in this virtual environment"),
        )
    if returncode == -signal.SIGILL:
        return MlxFacts(
            problem=_("MLX uses an instruction that this processor lacks"),
            fix=_("use a newer machine, or build MLX from source here"),
        )
    if returncode < 0:
        return MlxFacts(
            problem=_("MLX ended with signal {name}; {reason}").format(
                name=_signal_name(-returncode), reason=last or _("no message")
            ),
            fix=_("on a Mac, run outside virtual machines and sandboxes: MLX needs a Metal device"),
        )
    return MlxFacts(
        problem=_("MLX does not start: {reason}").format(reason=last or _("no message")),
        fix=_("install mqlora-tui again in this virtual environment"),
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def package_version(package: str) -> str:
    """Return the version of an installed package; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
