"""`adapters/`, which holds the adapter of a run's best validation so far."""

from pathlib import Path

from engine.files import read_own, write_atomic
from engine.fingerprint import file_sha256
from engine.i18n import _
from engine.model.adapter import adapter_weights, save_adapter
from engine.model.mlx_lm_adapter import CONFIG, WEIGHTS
from engine.model.safetensors_file import is_written_here
from engine.training.checkpoint import find_checkpoint
from engine.training.parts import Parts
from engine.training.progress import Progress
from engine.training.retention import archive


class BestAdapter:
    """Keeps the best adapter of a run beside its checkpoints."""

    def __init__(self, parts: Parts, progress: Progress, damage: list[str]) -> None:
        """Write nothing yet.

        Args:
            parts: what is trained.
            progress: where the run stands; which step is the best is noted there.
            damage: gets a sentence for what is found damaged, missing or not the run's own.
        """
        self._parts = parts
        self._progress = progress
        self._damage = damage

    def keep(self, val_loss: float) -> None:
        """Write the present adapter: no validation was better than its `val_loss`."""
        parts, progress, made = self._parts, self._progress, self._parts.assembled
        self._set_aside(parts.project.adapter_file)
        save_adapter(parts.project.adapters_dir, adapter_weights(made.model), made.adapter_config)
        progress.best_step, progress.best_val_loss = progress.step, val_loss

    def restore(self) -> None:
        """Make the folder hold the best again where it is damaged, or of a step that is yet to come."""
        project, progress = self._parts.project, self._progress
        if progress.best_step is None:
            if project.adapters_dir.is_dir() and any(project.adapters_dir.iterdir()):
                archive(project.run_dir, [project.adapters_dir])
            return
        best = find_checkpoint(project.run_dir, progress.best_step)
        if best:
            self._copy(best.folder)
        elif not project.adapter_file.exists():
            progress.best_step = progress.best_val_loss = None
            text = _("The best adapter so far is gone; the best of the coming ones will be kept")
            self._damage.append(text)

    def _copy(self, checkpoint: Path) -> None:
        """Replace those files that are not the checkpoint's."""
        folder = self._parts.project.adapters_dir
        folder.mkdir(exist_ok=True)
        for name in (CONFIG, WEIGHTS):
            kept, wanted = folder / name, checkpoint / name
            if not kept.exists() or file_sha256(kept) != file_sha256(wanted):
                self._set_aside(kept)
                write_atomic(kept, read_own(wanted, most=None))

    def _set_aside(self, path: Path) -> None:
        """Archive what is in the way of the best adapter and no run wrote; a run has one configuration."""
        if path.exists() and (path.name == CONFIG or not is_written_here(path)):
            target = archive(self._parts.project.run_dir, [path])
            text = _("{name} in adapters is not of this run; it is now in {target}")
            self._damage.append(text.format(name=path.name, target=target))
