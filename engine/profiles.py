"""SAFE, BALANCED and PERFORMANCE: three configurations and which of them to take."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.estimate import planned_seconds, planned_steps, planned_tokens
from engine.hardware.report import HardwareReport
from engine.i18n import _
from engine.memory.expected import expected_peak
from engine.model_folder.dimensions import Device, ModelDimensions
from engine.units import size

ProfileName = Literal["SAFE", "BALANCED", "PERFORMANCE"]

PROFILES: dict[ProfileName, dict[str, Any]] = {
    "SAFE": {
        "batch_size": 1,
        "gradient_accumulation": 4,
        "max_seq_length": 256,
        "learning_rate": 1e-4,
        "num_epochs": 1,
    },
    "BALANCED": {
        "batch_size": 2,
        "gradient_accumulation": 2,
        "max_seq_length": 384,
        "learning_rate": 2e-4,
        "num_epochs": 3,
    },
    "PERFORMANCE": {
        "batch_size": 4,
        "gradient_accumulation": 1,
        "max_seq_length": 512,
        "learning_rate": 3e-4,
        "num_epochs": 3,
    },
}

NAMES: tuple[ProfileName, ...] = ("SAFE", "BALANCED", "PERFORMANCE")
"""From the smallest to the largest."""

NOT_OF_A_PROFILE = ("model", "init_adapter", "max_memory_gb", "trackers")
"""Settings that say what is trained and on what machine, which another profile leaves as they are."""

GB = 1_000_000_000
PROCESS_BYTES = GB // 2
"""What a run takes beside MLX's own memory: Python, libraries, the app."""


@dataclass(frozen=True)
class Offer:
    """One profile with its price on this machine."""

    name: ProfileName
    purpose: str
    """Few translated words, such as "a first try"."""
    values: dict[str, Any]
    peak_memory: int
    """Measured peak where there is one, else predicted, bytes; 0 while no base model is known."""
    is_measured: bool
    """Whether that peak was measured here."""
    seconds: float | None
    """Predicted duration; None until a speed is known."""
    steps: int | None
    """Optimizer steps in all; None while the data is not known."""
    tokens: int | None
    """Of an epoch, prompts included; None while they are not counted."""
    fits: bool
    """Whether the peak finds room, and no measurement ran out of memory."""


@dataclass(frozen=True)
class Recommendation:
    """The three offers, and the one to take."""

    offers: tuple[Offer, ...]
    name: ProfileName
    reason: str
    """One sentence that says why this one."""


def recommend(
    report: HardwareReport,
    model: ModelDimensions | None,
    data: DataReport | None,
    speeds: Mapping[ProfileName, float] | None = None,
    measured: Mapping[ProfileName, int] | None = None,
    base: TrainingConfig | None = None,
    failed: Set[ProfileName] = frozenset(),
) -> Recommendation:
    """Price the three profiles on this machine and choose one.

    By free memory: below 8 GB SAFE, from 8 GB BALANCED, above 12 GB and with a GPU
    PERFORMANCE. From 6 to 8 and from 10 to 12 GB the higher profile is taken if its
    measured peak fits. A profile that does not fit gives way to a lower one that does.

    Args:
        report: of `engine.hardware.probe.probe`.
        model: sizes of the base model; None while there is none.
        data: the data report; None while the data was not read.
        speeds: of training on this machine, tokens a second by profile, for the durations.
        measured: peaks in bytes that were measured here, by profile.
        base: the settings that a profile leaves alone; None takes the defaults.
        failed: profiles that ran out of memory here when they were measured.
    """
    memory = memory_budget(report)
    prices = _Prices(
        budget=mlx_budget(report),
        device="cpu" if report.accelerator == "cpu" else "gpu",
        model=model,
        data=data,
        speeds=speeds or {},
        measured=measured or {},
        base=base or TrainingConfig(),
        failed=failed,
    )
    offers = {name: prices.offer(name) for name in NAMES}
    proven = {name for name in NAMES if name in prices.measured and offers[name].fits}
    wanted, reason = _by_memory(memory, report.accelerator != "cpu", proven)
    fitting = [name for name in NAMES[: NAMES.index(wanted) + 1] if offers[name].fits]
    chosen = fitting[-1] if fitting else "SAFE"
    if chosen != wanted or not fitting:
        missed = offers[wanted] if fitting else offers["SAFE"]
        reason = _too_large(missed, memory, missed.name in failed)
    return Recommendation(tuple(offers.values()), chosen, reason)


def mlx_budget(report: HardwareReport) -> int:
    """Return the bytes that MLX may take here, beside the rest of a run."""
    return memory_budget(report) - PROCESS_BYTES


def memory_budget(report: HardwareReport) -> int:
    """Return the bytes that a run may take here.

    On a Mac the GPU shares the memory, up to a limit; a CUDA card has its own.
    """
    if report.gpu_memory is None:
        return report.memory_available
    if report.accelerator == "cuda":
        return report.gpu_memory
    return min(report.memory_available, report.gpu_memory)


def profile_config(name: ProfileName, base: TrainingConfig) -> TrainingConfig:
    """Return `base` with the five values of a profile."""
    return base.updated(PROFILES[name])


def without_own_values(config: TrainingConfig) -> TrainingConfig:
    """Return the defaults with what `config` says of the project and the machine: see `NOT_OF_A_PROFILE`."""
    return TrainingConfig(**{key: getattr(config, key) for key in NOT_OF_A_PROFILE})


def plain_profile(name: ProfileName, config: TrainingConfig) -> TrainingConfig:
    """Return a profile as it is named, for the project of `config`: none of its own values is kept."""
    return profile_config(name, without_own_values(config))


def profile_name(config: TrainingConfig) -> ProfileName | None:
    """Return the profile that `config` is; None where any value is another one."""
    return next((name for name in NAMES if plain_profile(name, config) == config), None)


@dataclass(frozen=True)
class _Prices:
    """All that the price of a profile depends on."""

    budget: int
    """Bytes that MLX may take."""
    device: Device
    model: ModelDimensions | None
    data: DataReport | None
    speeds: Mapping[ProfileName, float]
    measured: Mapping[ProfileName, int]
    base: TrainingConfig
    failed: Set[ProfileName]

    def offer(self, name: ProfileName) -> Offer:
        """Return a profile with its price."""
        config, data = profile_config(name, self.base), self.data
        peak = self.measured.get(name, 0)
        if not peak and self.model:
            peak = expected_peak(self.model, config, self.device, self.budget, data)
        return Offer(
            name=name,
            purpose=_purpose(name),
            values=dict(PROFILES[name]),
            peak_memory=peak,
            is_measured=name in self.measured,
            seconds=planned_seconds(config, data, self.speeds.get(name, 0.0)) if data else None,
            steps=planned_steps(config, data.train.examples) if data else None,
            tokens=planned_tokens(config, data) if data else None,
            fits=peak <= self.budget and name not in self.failed,
        )


def _by_memory(memory: int, has_gpu: bool, proven: Set[ProfileName]) -> tuple[ProfileName, str]:
    """Apply the guide's table; return the profile and the sentence that says why.

    Args:
        memory: bytes that a run may take.
        has_gpu: whether MLX computes on a GPU.
        proven: profiles whose measured peak fits.
    """
    name: ProfileName
    if memory < 6 * GB:
        name, reason = "SAFE", _("{free} of memory is free; below 6 GB SAFE is advised.")
    elif memory < 8 * GB and "BALANCED" in proven:
        name, reason = "BALANCED", _("{free} of memory is free, and BALANCED was measured to fit.")
    elif memory < 8 * GB:
        name, reason = "SAFE", _("{free} of memory is free; BALANCED is advised from 8 GB.")
    elif memory <= 10 * GB:
        name, reason = "BALANCED", _("{free} of memory is free, which suits BALANCED.")
    elif not has_gpu:
        name, reason = "BALANCED", _("{free} of memory is free, but PERFORMANCE also wants a GPU.")
    elif memory > 12 * GB:
        name, reason = "PERFORMANCE", _("{free} of memory is free, and there is a GPU.")
    elif "PERFORMANCE" in proven:
        name, reason = "PERFORMANCE", _("{free} of memory is free, and PERFORMANCE was measured to fit.")
    else:
        name, reason = "BALANCED", _("{free} of memory is free; PERFORMANCE is advised above 12 GB.")
    return name, reason.format(free=size(memory))


def _too_large(offer: Offer, memory: int, ran_out: bool) -> str:
    """Return the sentence that says why a profile is not to be taken: tried in vain, or too dear."""
    if ran_out and offer.name == "SAFE":
        reason = _("Even SAFE was tried and ran out of memory: take a smaller model.")
    elif ran_out:
        reason = _("{name} was tried and ran out of memory.")
    elif offer.name == "SAFE":
        reason = _("Even SAFE needs {peak}, and {free} of memory is free: take a smaller model.")
    else:
        reason = _("{name} would need {peak}, and {free} of memory is free.")
    return reason.format(name=offer.name, peak=size(offer.peak_memory + PROCESS_BYTES), free=size(memory))


def _purpose(name: ProfileName) -> str:
    return {
        "SAFE": _("a first try, or little memory"),
        "BALANCED": _("for most machines"),
        "PERFORMANCE": _("much memory and a GPU"),
    }[name]
