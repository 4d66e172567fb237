"""Everything that a running loop writes: metrics, state, checkpoints and the best adapter."""

import math
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from engine import units
from engine.cluster.world import PeerLost
from engine.errors import UserError
from engine.i18n import _
from engine.i18n.texts import message_of
from engine.model.adapter import adapter_weights
from engine.training.best_adapter import BestAdapter
from engine.training.checkpoint import newest_checkpoint, save_checkpoint
from engine.training.events import FinishReason, Notice, Phase, StepDone, StepMetrics
from engine.training.failures import command_of, explained_writes
from engine.training.folder_handle import FolderLost, lost
from engine.training.metrics import MetricsWriter, UsageMeter
from engine.training.parts import Parts, restore
from engine.training.progress import Progress, Scored, dealt
from engine.training.receipt import run_receipt
from engine.training.retention import archive, dispose, prune_checkpoints
from engine.training.state import NOT_STOPPED, RunState, StateWriter, Status, StopReason
from engine.training.validation_rows import add_row_losses, keep_row_losses


class Recorder:
    """Keeps a run's files in step with its progress."""

    def __init__(self, parts: Parts, progress: Progress, checkpoint: Path | None) -> None:
        """Open the files.

        Args:
            parts: what is trained.
            progress: where the run stands; read whenever something is written.
            checkpoint: folder that the run goes on from.

        Raises:
            FolderLost: the folder was moved or deleted; every method that writes may raise this.
            OSError: the disk is full or the folder cannot be written.
        """
        self._parts = parts
        parts.held.require_in_place()
        self._progress = progress
        self._damage: list[str] = []
        """What was found damaged or missing in the run folder, in sentences."""
        self._metrics = self._open_metrics()
        self._keep_row_losses()
        self.best = BestAdapter(parts, progress, self._damage)
        """That of the best validation so far."""
        self.best.restore()
        self._phase: Phase | None = None
        self.usage = UsageMeter()
        """What this session does, to be told of it."""
        fresh = RunState(
            "running",
            parts.config.model,
            total_steps=parts.total_steps,
            steps_per_epoch=parts.steps_per_epoch,
            eval_every=parts.eval_every,
            micro_batch_divisor=parts.micro_batch_divisor,
            ranks=len(parts.speeds),
            hosts=parts.team.world.machines if parts.team else (),
            resumed_at=progress.step,
        )
        self._state = StateWriter(parts.project.state_file, fresh)
        if checkpoint:
            self._state.checkpoint = checkpoint.name

    def notices(self) -> Iterator[Notice]:
        """Tell once what was found damaged or missing in the run folder."""
        told = self._damage[:]
        self._damage.clear()
        yield from (Notice("warning", text) for text in told)

    def status(self, status: Status, why: StopReason = NOT_STOPPED) -> None:
        """Write `training_state.json`; see there for the arguments."""
        self._parts.held.require_in_place()
        step = self._metrics.step
        epoch = self._parts.epoch_of(step)
        phase = self._phase if status == "running" else None
        self._state.write(status, self._progress, step, epoch, self.usage.read(), phase, why)

    def phase(self, phase: Phase) -> Phase:
        """Write the stage that begins or goes on, and return it: a sign of life for every watcher."""
        self._phase = phase
        self.status("running")
        return phase

    def validation(self, scored: Scored, step: int) -> None:
        """Write what the validation of a step lost on each row, unless it was not made by rows."""
        if not scored.groups or not all(map(math.isfinite, scored.groups)):
            return
        parts = self._parts
        parts.held.require_in_place()
        tokens = dealt([count for batch in parts.valid for count in batch.row_targets])
        add_row_losses(parts.project, step, list(map(int, tokens)), scored.groups)

    def step(self, metrics: StepMetrics) -> StepDone:
        """Write a step's line, which waits for nothing any more, and the state; return what tells of it."""
        self._metrics.write(metrics)
        self._progress.pending = None
        self.phase(Phase("training"))
        return StepDone(metrics, self.usage.read())

    def unvalidated_step(self) -> None:
        """Write the line of a step whose validation was cut short, so that all files are of the same step.

        Whoever goes on drops it and writes it again when the validation is made.
        """
        if self._progress.pending:
            self.status("running")  # first: a line without a validation that was due tells of a failed one
            self._metrics.write(self._progress.pending)

    def checkpoint(self, is_last: bool = False) -> Path:
        """Save a checkpoint, drop those that are no longer kept, and return its folder.

        Args:
            is_last: the run ends with it: no way back is needed any more.
        """
        progress, parts, run_dir = self._progress, self._parts, self._parts.project.run_dir
        parts.held.require_in_place()
        self._metrics.sync()
        folder = self._save_checkpoint(run_dir)
        self._state.checkpoint = folder.name
        self.status("running")
        if is_last or self._is_way_back(progress):  # else an older one may be needed
            keep = parts.config.keep_checkpoints
            prune_checkpoints(run_dir, parts.identity.run, keep, progress.step, progress.best_step)
        return folder

    def _save_checkpoint(self, folder: Path) -> Path:
        progress, parts, made = self._progress, self._parts, self._parts.assembled
        return save_checkpoint(
            folder,
            parts.epoch_of(progress.step),
            progress,
            parts.identity,
            adapter_weights(made.model),
            made.adapter_config,
            made.step.optimizer_arrays(),
        )

    def receipt(self, last: Path, reason: FinishReason) -> None:
        """Write what the run was made of and what came out.

        Args:
            last: folder of its last checkpoint.
            reason: why it ended.
        """
        parts = self._parts
        parts.held.require_in_place()
        made = run_receipt(parts.project, parts.identity, self._progress, last, reason)
        made.save(parts.project.receipt_file)

    def roll_back(self) -> bool:
        """Go back to the newest intact checkpoint before the bad steps; False if there is none.

        One that only a pause made does not count: without the pause the run would go back further.
        """
        progress, run_dir = self._progress, self._parts.project.run_dir
        checkpoint, _damaged = newest_checkpoint(run_dir)
        run = self._parts.identity.run
        while checkpoint and not (checkpoint.identity.run == run and self._is_way_back(checkpoint.progress)):
            dispose(checkpoint.folder, run)
            checkpoint, _damaged = newest_checkpoint(run_dir)
        if checkpoint is None:
            return False
        restore(checkpoint, self._parts)
        # One that was saved before the first validation lacks its loss, which is that of no step.
        vars(progress).update(vars(checkpoint.progress) | {"initial_val_loss": progress.initial_val_loss})
        self.close()
        self._metrics = self._open_metrics()
        self._keep_row_losses()
        self.best.restore()
        return True

    def _keep_row_losses(self) -> None:
        """Drop the validations that are yet to be made."""
        is_validated = self._progress.initial_val_loss is not None
        keep_row_losses(self._parts.project, self._progress.lines if is_validated else -1)

    def _is_way_back(self, progress: Progress) -> bool:
        return self._parts.is_planned(progress) and not progress.non_finite_steps

    def _open_metrics(self) -> MetricsWriter:
        metrics = MetricsWriter(self._parts.project, self._progress.lines)
        if metrics.lost:
            text = _("The metrics of {steps} were damaged and are missing from now on")
            self._damage.append(text.format(steps=units.steps(metrics.lost)))
        return metrics

    @property
    def is_lost(self) -> bool:
        """Whether the folder was moved or deleted, perhaps in the midst of a write, which then failed."""
        try:
            self._parts.held.require_in_place()
        except FolderLost:
            return True
        return False

    def save_where_found(self) -> UserError:
        """Save the run where its folder was moved, or in the archive where another process has the folder.

        Returns:
            What to tell of that, or of its loss.

        Raises:
            UserError: the disk is full or the folder cannot be written.
        """
        held = self._parts.held
        self.close()
        project, archived = held.found(), None
        if held.is_taken:
            with explained_writes(held.project.run_dir, command_of(held.project)):
                archived = archive(held.project.run_dir, [])
                archived.mkdir(parents=True)
                self._save_checkpoint(archived)
        elif project:
            with explained_writes(project.run_dir, command_of(project)), closing(held.at(project)) as there:
                parts = replace(self._parts, project=project, held=there)
                recorder = Recorder(parts, self._progress, None)
                recorder.unvalidated_step()
                recorder.checkpoint(is_last=True)
                moved = _("its folder was moved")
                recorder.status("paused", StopReason(moved, (message_of(moved),)))
                recorder.close()
        return lost(held, project, self._progress.step, archived)

    def failed(self, error: Exception) -> None:
        """Write that the run failed, or goes on without a process that is lost.

        The disk may be what failed, so this may do nothing.
        """
        with suppress(OSError, FolderLost):
            messages = error.messages if isinstance(error, UserError) else ()
            goes_on = isinstance(error, PeerLost) and error.goes_on
            lost_rank = error.rank if isinstance(error, PeerLost) else None
            status: Status = "running" if goes_on else "failed"
            self.status(status, StopReason(str(error) or type(error).__name__, messages, lost_rank))

    def close(self) -> None:
        """Close the metrics files."""
        with suppress(OSError):
            self._metrics.close()
