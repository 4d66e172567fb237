"""What a tuning takes at most: steps and time of each candidate, and of all."""

from dataclasses import dataclass

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.fit.price import Price, price_config
from engine.hardware.report import HardwareReport
from engine.model_folder.dimensions import ModelDimensions
from engine.project import Project
from engine.tuning.plan import Candidate, steps_in_all


@dataclass(frozen=True)
class TuningPrice:
    """The worst case: the half that goes on is the longest."""

    each: tuple[Price, ...]
    """What the whole run of each candidate takes."""
    steps: int
    """Optimizer steps in all."""
    seconds: float | None
    """Of training in all; None until a speed is known."""


def price_tuning(
    project: Project,
    chosen: TrainingConfig,
    tried: tuple[Candidate, ...],
    hardware: HardwareReport,
    data: DataReport | None,
) -> TuningPrice:
    """Price all candidates with what was measured on this machine.

    Args:
        project: with the base model.
        chosen: the settings that are chosen.
        tried: the candidates.
        hardware: what the machine has.
        data: what is known of the rows.

    Raises:
        UserError: the base model cannot be read.
    """
    model = ModelDimensions.read(project.model_dir(chosen.model))
    each = tuple(price_config(project, one.config(chosen), hardware, model, data) for one in tried)
    steps = [price.steps or 0 for price in each]
    most = sum(steps_in_all(steps))
    known = [price.seconds for price in each if price.seconds is not None]
    seconds = sum(known) * most / sum(steps) if len(known) == len(steps) and all(steps) else None
    return TuningPrice(each, most, seconds)
