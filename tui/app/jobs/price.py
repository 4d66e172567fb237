"""What a configuration takes, found out in a thread: the base model's files are looked at."""

from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.errors import UserError
from engine.fit.price import Price, price_config
from engine.hardware.report import HardwareReport
from engine.model_folder.dimensions import ModelDimensions
from engine.project import Project


def price(
    project: Project, config: TrainingConfig, hardware: HardwareReport, data: DataReport | None
) -> Price:
    """Return what a run with a configuration takes here.

    Args:
        project: whose base model and measurements count.
        config: of the run.
        hardware: what the machine has.
        data: what is known of the rows.
    """
    try:
        model = ModelDimensions.read(project.model_dir(config.model))
    except UserError:
        model = None
    return price_config(project, config, hardware, model, data)
