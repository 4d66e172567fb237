"""Parts of the self-test that try MLX, each in a process of its own, and what their figures mean."""

import json
import math
import sys
from typing import Any

from engine.hardware.mlx_facts import check_mlx, read_facts, start_probe
from engine.hardware.report import Check
from engine.i18n import _, number
from engine.selftest.bench import Bench
from engine.selftest.part import Skipped, found
from engine.selftest.process import end_family, run_to_end
from engine.setting_words import value_word
from engine.units import size

_ERRORS = {"float32": 2e-3, "bfloat16": 2e-2}
"""Largest error of a product: a CUDA card and some chips multiply float32 with 10 bits (TF32: 5e-4),
bfloat16 has 7 (4e-3)."""
_MEMORY = 0.25
"""Largest difference between MLX's and the system's figure, as a share of what was held."""
_LOSS = {True: 1e-3, False: 2e-2}
"""Largest difference in loss between modes, as a share, on a CPU (float32) and on a GPU (bfloat16)."""


def try_device(_bench: Bench, limit_s: float) -> Check:
    """See what MLX computes on."""
    probe = start_probe()
    try:
        return check_mlx(read_facts(probe, limit_s))
    finally:
        end_family(probe)


def try_matmul(bench: Bench, limit_s: float) -> Check:
    """Multiply two matrices and compare with NumPy."""
    return judge_matmul(_figures(bench, limit_s, "matmul"))


def judge_matmul(figures: dict[str, Any]) -> Check:
    """Say what `engine.selftest.mlx_child.matmul` found."""
    errors: dict[str, float] = figures["errors"]
    value = _("{device}; error against NumPy {errors}; {speed:.0f} GFLOP/s").format(
        device=figures["device"],
        errors=", ".join(f"{number(error, '.0e')} {dtype}" for dtype, error in errors.items()),
        speed=figures["gflops"],
    )
    wrong = [dtype for dtype, error in errors.items() if not error <= _ERRORS[dtype]]
    if wrong:
        detail = _("MLX multiplies wrongly in {dtypes}").format(dtypes=", ".join(wrong))
        return found(value, "error", detail, _("install another version of mlx"))
    return found(value)


def try_memory(bench: Bench, limit_s: float) -> Check:
    """Hold an array and compare what MLX and the system say."""
    return judge_memory(_figures(bench, limit_s, "memory"))


def judge_memory(figures: dict[str, Any]) -> Check:
    """Say what `engine.selftest.mlx_child.memory` found.

    Raises:
        Skipped: the system does not tell, or of other memory than MLX's.
    """
    if not figures["is_shared"]:
        raise Skipped(_("A CUDA card's memory is not counted as the process's"))
    if figures["process"] is None:
        raise Skipped(_("The system does not tell what a process holds"))
    readings = [figures["active"], figures["process"]]
    value = _("{held} held: MLX says {active}, peak {peak}, the system {process}").format(
        held=size(figures["held"]),
        active=size(figures["active"]),
        peak=size(figures["peak"]),
        process=size(max(0, figures["process"])),
    )
    if any(abs(one - figures["held"]) > _MEMORY * figures["held"] for one in readings):
        detail = _("MLX and the system count memory differently, so predictions may be wrong here")
        return found(value, "warning", detail)
    return found(value)


def try_modes(bench: Bench, limit_s: float) -> Check:
    """Time the three modes to multiply by frozen matrices, and compare the losses they lead to.

    Raises:
        Skipped: there is no base model, or none of its matrices is quantised.
    """
    if bench.model is None:
        raise Skipped(_("There is no base model to try it with"))
    project = bench.project("modes")
    return judge_modes(_figures(bench, limit_s, "modes", str(project.root), bench.config().model_dump_json()))


def judge_modes(figures: dict[str, Any]) -> Check:
    """Say what `engine.selftest.mlx_child.modes` found.

    Raises:
        Skipped: none of the model's matrices is quantised.
    """
    seconds, losses = figures["seconds"], figures["losses"]
    if not losses:
        raise Skipped(_("The base model is not quantised"))
    packed = losses["packed"]
    difference = max(abs(loss - packed) for loss in losses.values())
    value = _("{times}; loss {loss:.4f}, differs by {difference:.0e}").format(
        times=", ".join(
            _("{way} {time:.1f} ms").format(way=value_word(mode), time=taken * 1e3)
            for mode, taken in seconds.items()
        ),
        loss=packed,
        difference=difference,
    )
    if not all(math.isfinite(loss) for loss in losses.values()):
        return found(value, "error", _("A loss is not a finite number"))
    if difference > _LOSS[figures["is_cpu"]] * abs(packed):
        return found(value, "error", _("The matmul modes lead to different losses"))
    return found(value)


def _figures(bench: Bench, limit_s: float, *arguments: str) -> dict[str, Any]:
    """Ask `engine.selftest.mlx_child`.

    Raises:
        UserError: it failed.
        subprocess.TimeoutExpired: it took too long.
    """
    command = [sys.executable, "-m", "engine.selftest.mlx_child", *arguments]
    ended = run_to_end(command, bench.launcher.environment, limit_s)
    if ended.code:
        raise ended.failure()
    figures: dict[str, Any] = json.loads(ended.output.strip().rpartition("\n")[2])
    return figures
