"""The receipt of a run that has come to its end."""

import platform
from contextlib import suppress
from pathlib import Path

from engine.backend import describe_device
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.fingerprint import file_sha256, installed_versions
from engine.hardware.machine import device_key
from engine.model.mlx_lm_adapter import WEIGHTS
from engine.project import Project
from engine.receipt.form import Base, Data, Losses, Machine, Receipt, base_of, config_sha256, joined_sha256
from engine.training.checkpoint import RunIdentity
from engine.training.events import FinishReason
from engine.training.history import HistoryReader
from engine.training.progress import Progress
from engine.training.selected_config import FREE


def run_receipt(
    project: Project, identity: RunIdentity, progress: Progress, last: Path, reason: FinishReason
) -> Receipt:
    """Return what a run was made of and what came out.

    Args:
        project: of the run.
        identity: what it rests on.
        progress: where it stands.
        last: folder of its last checkpoint.
        reason: why it ended.

    Raises:
        OSError: a file of the run cannot be read.
    """
    config = receipt_config(identity.config)
    return Receipt(
        data=_data(project, identity.data),
        base=_base(project, identity),
        template=identity.template,
        config=config,
        configuration=config_sha256(config),
        seed=identity.config.seed,
        adapter=_best(project) if progress.best_step is not None else None,
        last_adapter=file_sha256(last / WEIGHTS),
        versions=versions(),
        machine=this_machine(),
        losses=_losses(project, progress),
        ended=reason,
    )


def receipt_config(config: TrainingConfig) -> dict[str, object]:
    """Return a configuration as it stands in a receipt, without what changes no number."""
    return config.model_dump(mode="json", exclude=set(FREE))


def versions() -> dict[str, str]:
    """Return the versions of what computes here."""
    return installed_versions() | {"python": platform.python_version()}


def this_machine() -> Machine:
    """Return this machine in words, without its name or its user's."""
    system = f"{platform.system()} {platform.machine()}"
    return Machine(chip=device_key()[:260], computes=describe_device()[:260], system=system)


def _base(project: Project, identity: RunIdentity) -> Base:
    """Return the base model; where its folder is gone, what is known of it."""
    name = identity.config.model
    with suppress(UserError):
        return base_of(name, project.model_dir(name), identity.model)
    return Base(name=name, fingerprint=identity.model)


def _best(project: Project) -> str | None:
    """Return the hash of the best adapter; None where somebody took it away: the run is finished anyway."""
    with suppress(OSError):
        return file_sha256(project.adapter_file)
    return None


def _data(project: Project, both: str) -> Data:
    """Return the hashes of the data files, as far as these are still those that were trained on."""
    try:
        files = [file_sha256(path.resolve()) for path in (project.train_file, project.valid_file)]
    except OSError:
        files = []
    if not files or joined_sha256(files) != both:
        return Data(both=both, train=None, valid=None)
    return Data(both=both, train=files[0], valid=files[1])


def _losses(project: Project, progress: Progress) -> Losses:
    history = HistoryReader(project).poll()
    _steps, training = history.points("loss")
    _validated, validation = history.points("val_loss")
    return Losses(
        base=progress.initial_val_loss,
        best=progress.best_val_loss,
        best_step=progress.best_step,
        last=float(validation[-1]) if len(validation) else None,
        last_training=float(training[-1]) if len(training) else None,
        steps=progress.step,
    )
