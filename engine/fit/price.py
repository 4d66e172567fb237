"""What one configuration takes on this machine: memory, steps and time, measured or predicted."""

import math
from dataclasses import dataclass

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.estimate import planned_seconds, planned_steps
from engine.fit.measured import measured_peak
from engine.hardware.report import HardwareReport
from engine.memory.expected import expected_peak
from engine.model_folder.dimensions import Device, ModelDimensions
from engine.optimizer_facts import RATE_FACTORS
from engine.profiles import NAMES, PROFILES, ProfileName, mlx_budget
from engine.project import Project


@dataclass(frozen=True)
class Price:
    """What a run with one configuration takes."""

    peak_memory: int
    """Measured peak where there is one, else predicted, bytes; 0 while no base model is known."""
    is_measured: bool
    budget: int
    """Bytes that MLX may take."""
    steps: int | None
    """Optimizer steps in all; None while the data is not known."""
    seconds: float | None
    """None until a speed is known and the tokens are counted."""

    @property
    def fits(self) -> bool:
        """Whether the peak finds room."""
        return self.peak_memory <= self.budget


def price_config(
    project: Project,
    config: TrainingConfig,
    hardware: HardwareReport,
    model: ModelDimensions | None,
    data: DataReport | None,
) -> Price:
    """Price a configuration with what was measured on this machine.

    Args:
        project: whose measurements count.
        config: of the run.
        hardware: what the machine has.
        model: sizes of the base model; None where there is none, or of an unknown kind.
        data: what is known of the rows.
    """
    from engine.fit.speeds import known_speeds  # imports numpy

    budget = mlx_budget(hardware)
    device: Device = "cpu" if hardware.accelerator == "cpu" else "gpu"
    measured = measured_peak(project, config, budget)
    speeds = known_speeds(project, config) if model else {}
    speed = speeds.get(nearest_profile(config)) or next(iter(speeds.values()), 0.0)
    known = data if data and data.train.examples else None
    return Price(
        peak_memory=measured or (expected_peak(model, config, device, budget, data) if model else 0),
        is_measured=bool(measured),
        budget=budget,
        steps=planned_steps(config, known.train.examples) if known else None,
        seconds=planned_seconds(config, known, speed) if known else None,
    )


def nearest_profile(config: TrainingConfig) -> ProfileName:
    """Return the profile that a configuration is most like; of several BALANCED, else the larger."""
    values = config.model_dump()

    def likeness(name: ProfileName) -> tuple[int, bool, int]:
        same = sum(values[key] == value for key, value in PROFILES[name].items())
        return same, name == "BALANCED", NAMES.index(name)

    return max(NAMES, key=likeness)


def advised_rate(config: TrainingConfig) -> float:
    """Return the peak learning rate that suits the examples of a step.

    That of the nearest profile times the square root of how many times as many examples a step has:
    the rule for Adam of Malladi et al., "On the SDEs and Scaling Rules for Adaptive Gradient
    Algorithms", 2022. It stays between the lowest rate that the advice after a run names and the
    highest (5e-5 to 5e-4); of other optimizers than AdamW, times their factor.
    """
    factor = RATE_FACTORS[config.optimizer]
    profile = PROFILES[nearest_profile(config)]
    usual = profile["batch_size"] * profile["gradient_accumulation"]
    rate = profile["learning_rate"] * math.sqrt(config.examples_per_step / usual)
    return float(f"{factor * min(_HIGHEST, max(_LOWEST, rate)):.1e}")


_LOWEST, _HIGHEST = 5e-5, 5e-4
