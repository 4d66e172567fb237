"""The training loop: steps, validations and checkpoints in their order, as events."""

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Event as StopEvent

from engine.backend import mx
from engine.cluster.world import PeerLost
from engine.errors import UserError
from engine.i18n import _
from engine.i18n.texts import message_of
from engine.training.answering import Answering
from engine.training.beginning import Beginning
from engine.training.dispatch import Dispatcher
from engine.training.events import (
    CheckpointSaved,
    Event,
    Finished,
    FinishReason,
    Notice,
    Paused,
    Phase,
)
from engine.training.failures import command_of, explain, explained_writes, stays_bad
from engine.training.folder_handle import FolderLost
from engine.training.memory_limits import FreedMemory
from engine.training.notices import LimitWarning
from engine.training.parts import Parts
from engine.training.pause_request import reason_of
from engine.training.progress import Progress
from engine.training.recorder import Recorder
from engine.training.state import StopReason
from engine.training.together import require_equal
from engine.training.validation import Validation

# Non-finite steps in a row after which the run goes back to its last checkpoint.
_MAX_NON_FINITE = 3


class TrainingLoop:
    """Runs from a position to the end, a pause or an early stop."""

    def __init__(
        self,
        parts: Parts,
        progress: Progress,
        stop: StopEvent,
        untrained: dict[str, mx.array],
        beginning: Beginning,
        checkpoint: Path | None = None,
    ) -> None:
        """Open the run's files.

        Args:
            parts: what to train, on what.
            progress: where the run stands.
            stop: set it to pause the run.
            untrained: see `Validation`.
            beginning: of the session, which is passed.
            checkpoint: folder that the run goes on from.

        Raises:
            FolderLost: the folder was moved or deleted.
            UserError: the files cannot be written.
        """
        self._parts, self._config = parts, parts.config
        self._progress, self._stop = progress, stop
        self._steps = Dispatcher(parts, progress)
        self._freed, self._limit = FreedMemory(), LimitWarning(parts.config.max_memory_gb)
        self._began = time.monotonic() - progress.elapsed_s
        with explained_writes(parts.project.run_dir, command_of(parts.project)):
            self._recorder = Recorder(parts, progress, checkpoint)
            self._validation = Validation(parts, progress, self._recorder, stop, untrained)
            self._answers = Answering(parts, progress, self._recorder, stop, self._began)
        if parts.team:
            parts.team.loss.note = self._recorder.failed
        self._saved: tuple[int, Path | None] = -1, None
        """Step and folder of this session's newest checkpoint."""
        self._checkpoint = checkpoint
        self._beginning = None if progress.pending or parts.team else beginning
        """Of the session, until a step was made or validated."""

    def run(self) -> Iterator[Event]:
        """Yield events until the run pauses or ends; every result is on disk before its event."""
        self._parts.assembled.model.train()
        try:
            yield from self._recorder.notices()
            ended = (yield from self._begin()) and (yield from self._train())
            yield from self._finish(ended) if ended else self._pause()
        except FolderLost:
            raise self._recorder.save_where_found() from None
        except PeerLost as lost:  # no step was begun without all: what is here is whole
            yield from self._save_alone()
            self._recorder.failed(lost)
            raise
        except Exception as error:
            if isinstance(error, OSError | UserError) and self._recorder.is_lost:
                raise self._recorder.save_where_found() from None
            explained = explain(error, self._parts.project, self._config, self._parts.micro_batch_divisor)
            self._recorder.failed(explained or error)
            if explained:
                raise explained from None
            raise
        finally:
            self._recorder.close()
            self._answers.close()

    def _train(self) -> Generator[Event, None, FinishReason | None]:
        """Make steps until the end; return why it ended, or None if it was asked to stop."""
        progress, patience = self._progress, self._config.early_stopping_patience
        yield self._recorder.phase(Phase("training"))
        while True:
            if progress.pending is None:
                if patience and progress.evaluations_since_best >= patience:
                    return "early_stopping"
                if progress.step == self._parts.total_steps:
                    return "completed"
                if self._stop.is_set() and not self._steps.is_ahead:
                    return None
                yield from self._one_step()
            if progress.initial_val_loss is None:
                if not (yield from self._validate_first()):
                    return None
                yield self._recorder.phase(Phase("training"))
            is_validated = progress.pending is not None
            if is_validated and not (yield from self._validation.pending()):
                return None
            if self._parts.is_planned(progress):
                yield from self._save()
            if is_validated:
                yield from self._answers.round()

    # A single training step

    def _one_step(self) -> Iterator[Event]:
        progress = self._progress
        with self._all_is_saved():
            made = self._steps.make_step(self._goes_straight_on())
        self._recorder.usage.step(made.batches)
        self._freed.give_back()
        progress.step += 1
        result, epoch = made.result, self._parts.epoch_of(progress.step)
        metrics = made.metrics(progress.step, epoch, self._began)
        yield from self._limit.at(metrics.peak_memory_gb)
        progress.non_finite_steps = 0 if result.applied else progress.non_finite_steps + 1
        if not result.applied:
            yield self._warning(_("Step {step}: loss or gradient is not finite; the update was left out"))
            if progress.non_finite_steps == _MAX_NON_FINITE:
                yield self._roll_back()
                yield from self._recorder.notices()
                yield from self._save()  # so that half the learning rate is not forgotten
                return
        if self._parts.is_due(progress.step, self._parts.eval_every):
            progress.pending = metrics
        else:
            yield self._recorder.step(metrics)

    def _all_is_saved(self) -> AbstractContextManager[None]:
        """Let this process be ended during the first step of a session: kernels may be compiled in it."""
        beginning, self._beginning = self._beginning, None
        folder = self._saved[1] or self._checkpoint
        return beginning.all_is_saved(lambda: self._paused(folder)) if beginning and folder else nullcontext()

    def _goes_straight_on(self) -> bool:
        """Whether nothing can come between the coming step and the one after it.

        That is a validation, a checkpoint (also at the run's end), a pause, or a roll-back.
        """
        parts, progress, coming = self._parts, self._progress, self._progress.step + 1
        every = parts.eval_every, self._config.save_every
        is_interrupted = progress.initial_val_loss is None or any(parts.is_due(coming, n) for n in every)
        return not (is_interrupted or progress.non_finite_steps or self._stop.is_set())

    # What the run begins with

    def _begin(self) -> Generator[Event, None, bool]:
        """Save and score what the first step begins with, or let that wait; False if asked to stop."""
        if self._progress.initial_val_loss is not None or self._progress.step:
            return True
        waits = self._validation.can_wait
        if waits or self._config.init_adapter:  # the adapter may lie in the archive by now, or be changed
            yield from self._save()
        return waits or (yield from self._validate_first())

    def _validate_first(self) -> Generator[Event, None, bool]:
        """Score the model as it was before its first step; False if asked to stop."""
        if not (yield from self._validation.first()):
            return False
        if not self._progress.step:
            self._saved = -1, None  # what was saved of this step lacks the loss
            yield from self._save()
        yield from self._validation.doubts()
        yield from self._answers.round(is_base_alone=not self._config.init_adapter)
        return True

    # Numbers that are not finite

    def _warning(self, text: str) -> Notice:
        return Notice("warning", text.format(step=self._progress.step))

    def _roll_back(self) -> Notice:
        """Go back to the last good checkpoint; one is saved before the first step."""
        was_halved = self._progress.learning_rate_factor < 1
        if was_halved or not self._recorder.roll_back():
            raise stays_bad(self._progress.step, was_halved)
        self._progress.learning_rate_factor = 0.5
        self._saved = -1, None  # the checkpoint of this step has the rate as it was
        self._answers.rewind()
        self._parts.begin_together()
        return self._warning(_("Back to step {step} with half the learning rate"))

    # Saving, pausing, ending

    def _save(self, is_last: bool = False) -> Generator[Event, None, Path]:
        """Save a checkpoint, unless there is one of this step, and return its folder."""
        step, saved = self._saved
        if saved and step == self._progress.step:
            return saved
        yield self._recorder.phase(Phase("saving"))
        begin = time.monotonic()
        if self._parts.team and not self._parts.team.loss.is_there:
            require_equal(self._parts.team, self._parts.assembled.model, self._parts.assembled.step)
        self._progress.elapsed_s = begin - self._began
        folder = self._recorder.checkpoint(is_last)
        self._saved = self._progress.step, folder
        yield CheckpointSaved(self._progress.step, folder, time.monotonic() - begin)
        return folder

    def _save_alone(self) -> Generator[Event, None, Path]:
        """Save where the run stands, also in the midst of what all processes do together."""
        self._recorder.unvalidated_step()
        return (yield from self._save())

    def _pause(self) -> Iterator[Event]:
        folder = yield from self._save_alone()
        yield self._paused(folder)

    def _paused(self, folder: Path) -> Paused:
        asked = reason_of(self._stop)
        self._recorder.status("paused", StopReason(asked, (message_of(asked),)))
        return Paused(self._progress.step, folder)

    def _finish(self, reason: FinishReason) -> Iterator[Event]:
        last = yield from self._save(is_last=True)  # where it stopped early between two checkpoints
        progress = self._progress
        self._recorder.receipt(last, reason)
        self._recorder.status("finished", StopReason(reason))
        yield Finished(progress.step, progress.best_step, progress.best_val_loss, reason)
