"""Measurements of this machine, kept from one start to the next."""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from threading import Event

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.errors import UserError
from engine.files import write_json
from engine.fingerprint import data_fingerprint, model_fingerprint
from engine.fit.measure import Fit, OnFitProgress, measure_fit
from engine.hardware.machine import device_key
from engine.hardware.report import HardwareReport
from engine.hardware.storage import read_memory
from engine.model_folder.dimensions import ModelDimensions
from engine.profiles import NAMES, ProfileName, Recommendation, mlx_budget, profile_config, recommend
from engine.project import Project

import msgspec
import platformdirs

_INDIFFERENT = {
    "model",
    "init_adapter",
    "learning_rate",
    "num_epochs",
    "max_steps",
    "lora_alpha",
    "lr_schedule",
    "min_learning_rate_ratio",
    "warmup_ratio",
    "weight_decay",
    "max_grad_norm",
    "seed",
    "eval_every",
    "save_every",
    "keep_checkpoints",
    "early_stopping_patience",
    "answers_percent",
    "trackers",
}
"""Fields of the configuration that change nothing about memory; a model or adapter counts by its files."""


@dataclass(frozen=True)
class Known:
    """What earlier measurements say about the three profiles."""

    peaks: Mapping[ProfileName, int]
    """Measured peaks, bytes."""
    failed: frozenset[ProfileName]
    """Profiles that ran out of memory when there was at least as much as now."""


def measure_and_remember(
    project: Project, config: TrainingConfig, on_progress: OnFitProgress, cancel: Event | None = None
) -> Fit:
    """Measure a configuration (see `measure_fit`) and keep the answer for later starts.

    It is kept for the files as they were before; a disk that takes no file loses it.
    """
    key = _key(project, config)
    fit = measure_fit(project, config, on_progress, cancel)
    if key:
        path = _file(key, config)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, asdict(fit))
    return fit


def recall_profiles(project: Project, base: TrainingConfig, budget: int) -> Known:
    """Return what is known of the three profiles, the other settings being those of `base`.

    Args:
        project: whose model and data count.
        base: the settings that a profile leaves alone.
        budget: bytes that MLX may take now. What was measured with more says nothing about a run
            that adapts to less, and is left out.
    """
    peaks: dict[ProfileName, int] = {}
    failed: set[ProfileName] = set()
    for name, fit in measured_profiles(project, base):
        if fit.measured is None:
            failed |= {name} if budget <= fit.memory_budget.free else set()
        elif fit.measured.peak <= budget or not fit.measured.adapts:
            peaks[name] = fit.measured.peak
    return Known(peaks, frozenset(failed))


def price_profiles(
    project: Project,
    config: TrainingConfig,
    hardware: HardwareReport,
    model: ModelDimensions | None,
    data: DataReport | None,
) -> Recommendation:
    """Price the three profiles with what was measured on this machine, and recommend one.

    Args:
        project: whose measurements count.
        config: the settings that a profile leaves alone.
        hardware: what the machine has.
        model: sizes of the base model; None where there is none, or of an unknown kind.
        data: what is known of the rows.
    """
    from engine.fit.speeds import known_speeds  # imports numpy

    known = recall_profiles(project, config, mlx_budget(hardware))
    speeds = known_speeds(project, config) if model else None
    return recommend(hardware, model, data, speeds, known.peaks, config, known.failed)


def measured_profiles(project: Project, base: TrainingConfig) -> Iterator[tuple[ProfileName, Fit]]:
    """Yield what was measured here of each profile, whatever memory there was."""
    if key := _key(project, base):
        for name in NAMES:
            if fit := _read(_file(key, profile_config(name, base))):
                yield name, fit


def measured_peak(project: Project, config: TrainingConfig, budget: int) -> int:
    """Return the peak that was measured here of a configuration, bytes; 0 where it is not known.

    Args:
        project: whose model and data count.
        config: of the run.
        budget: bytes that MLX may take now; see `recall_profiles`.
    """
    key = _key(project, config)
    fit = _read(_file(key, config)) if key else None
    if fit is None or fit.measured is None or not (fit.measured.peak <= budget or not fit.measured.adapts):
        return 0
    return fit.measured.peak


def _key(project: Project, config: TrainingConfig) -> tuple[str, ...]:
    """Return what a measurement depends on besides the configuration; nothing without a readable model."""
    try:
        model = model_fingerprint(project.model_dir(config.model))
    except (OSError, UserError):
        return ()
    return (*_machine(), *installed_programs(), model, _data(project))


def _file(key: tuple[str, ...], config: TrainingConfig) -> Path:
    """Return where the measurement of `config` is kept."""
    fields = config.model_dump(mode="json", exclude=_INDIFFERENT)
    name = hashlib.sha256(json.dumps([*key, fields]).encode()).hexdigest()[:32]
    return Path(platformdirs.user_cache_dir("mqlora-tui")) / "fit" / f"{name}.json"


def _machine() -> tuple[str, ...]:
    return platform.node(), device_key(), str(read_memory().total)


@cache  # every package's metadata is read for it
def installed_programs() -> tuple[str, ...]:
    """Return the versions of this program and of MLX, whose device hangs on which parts are installed."""
    found = {(item.name or "").lower(): item.version for item in distributions()}
    return tuple(sorted(f"{name} {found[name]}" for name in found if name.startswith(("mlx", "mqlora"))))


def _data(project: Project) -> str:
    """Return the fingerprint of the data; nothing where a file is missing."""
    try:
        return data_fingerprint(project)
    except OSError:
        return ""


def _read(path: Path) -> Fit | None:
    """Return a measurement; None where there is none, or a file that is damaged or of another version."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Fit)
    except (OSError, msgspec.MsgspecError):
        return None
