"""Looking at everything, the quick things first."""

import subprocess
from collections.abc import Generator, Iterable, Iterator

from engine.config import TrainingConfig
from engine.errors import UserError
from engine.hardware import mlx_facts
from engine.hardware.machine import check_chip, check_python, device_name
from engine.hardware.power import check_power, read_battery
from engine.hardware.project_checks import begin_trial, check_data, check_model
from engine.hardware.report import ORDER, Check, HardwareReport
from engine.hardware.storage import (
    Memory,
    check_disk,
    check_memory,
    is_writable,
    read_disk_free,
    read_memory,
)
from engine.hardware.terminal import check_terminal
from engine.hardware.weights import check_weights
from engine.memory.predict import run_bytes
from engine.model_folder.dimensions import ModelDimensions
from engine.model_folder.trial import ModelTrial
from engine.project import Project

DISK_OF_A_7B_RUN = 1_500_000_000
"""Bytes for the checkpoints of one run while no base model is known."""


def probe(project: Project, model: str = "") -> HardwareReport:
    """Look at everything and return the report; never raises for what it finds."""
    looking = iter_checks(project, model)
    while True:
        try:
            next(looking)
        except StopIteration as end:
            report: HardwareReport = end.value
            return report


def look_at_memory(project: Project) -> HardwareReport:
    """Look at nothing but what a model has to fit into: memory, disk and what MLX computes on."""
    child = mlx_facts.start_probe()
    try:
        memory, disk_free = read_memory(), read_disk_free(project.models_dir)
        facts = mlx_facts.read_facts(child)
    finally:
        _end(child)
    return _report((), memory, disk_free, device_name(), facts)


def iter_checks(project: Project, model: str = "") -> Generator[Check, None, HardwareReport]:
    """Yield each check as soon as it is known; the generator's return value is the whole report.

    Base model and MLX answer last: child processes look at them in the meantime.

    Args:
        project: whose disk, model and data are looked at.
        model: folder name of the base model; empty takes the first one.
    """
    child, trial = mlx_facts.start_probe(), begin_trial(project, model)
    try:
        memory, device = read_memory(), device_name()
        disk_free = read_disk_free(project.run_dir)
        checks: list[Check] = []
        for check in _quick_checks(project, model, device, memory, disk_free):
            checks.append(check)
            yield check
        chosen = model or next(iter(project.models()), "")
        checks.append(check_model(trial, [name for name in project.models() if name != chosen]))
        yield checks[-1]
        facts = mlx_facts.read_facts(child)
    finally:
        _end(child)
        if isinstance(trial, ModelTrial):
            trial.end()
    for late in (mlx_facts.check_mlx(facts), mlx_facts.check_blas(facts)):
        if late:
            checks.append(late)
            yield late
    return _report(checks, memory, disk_free, device, facts)


def _report(
    checks: Iterable[Check], memory: Memory, disk_free: int, device: str, facts: mlx_facts.MlxFacts
) -> HardwareReport:
    return HardwareReport(
        checks=tuple(sorted(checks, key=lambda check: ORDER.index(check.id))),
        memory_total=memory.total,
        memory_available=memory.obtainable,
        disk_free=disk_free,
        accelerator=facts.accelerator,
        device=facts.device if facts.accelerator == "cuda" else device,
        gpu_memory=facts.gpu_memory,
    )


def _quick_checks(
    project: Project, model: str, device: str, memory: Memory, disk_free: int
) -> Iterator[Check]:
    """Yield all checks that need no MLX."""
    yield check_chip(device)
    yield check_memory(memory)
    shape = _shape(project, model)
    needed = run_bytes(shape, TrainingConfig()) if shape else DISK_OF_A_7B_RUN
    yield check_disk(project.root, disk_free, needed, is_writable(project.run_dir))
    yield check_python()
    yield check_terminal()
    yield check_power(read_battery())
    weights = check_weights(shape)
    if weights:
        yield weights
    yield check_data(project)


def _shape(project: Project, model: str) -> ModelDimensions | None:
    """Return the sizes of the base model; None where there is none, or they are not known."""
    try:
        return ModelDimensions.read(project.model_dir(model))
    except UserError:
        return None


def _end(child: "subprocess.Popen[str]") -> None:
    if child.poll() is None:
        child.kill()
        child.communicate()
