"""The training loop: steps, validations and checkpoints in their order, as events."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event as StopEvent

from engine.cluster.world import PeerLost
from engine.dataset.batches.micro_batch import MicroBatch
from engine.errors import UserError
from engine.i18n import _
from engine.i18n.texts import message_of
from engine.training.answering import Answering
from engine.training.dispatch import Dispatcher
from engine.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    FinishReason,
    Notice,
    Paused,
    Phase,
    StepDone,
    StepMetrics,
)
from engine.training.failures import begins_bad, explain, explained_writes, stays_bad
from engine.training.folder_handle import FolderLost
from engine.training.loss import chance_warning, evaluate, scored_before
from engine.training.parts import Parts
from engine.training.progress import Progress, Scored
from engine.training.recorder import Recorder
from engine.training.together import evaluate_together, require_equal

# Non-finite steps in a row after which the run goes back to its last checkpoint.
_MAX_NON_FINITE = 3


class TrainingLoop:
    """Runs from a position to the end, a pause or an early stop."""

    def __init__(
        self, parts: Parts, progress: Progress, stop: StopEvent, checkpoint: Path | None = None
    ) -> None:
        """Open the run's files.

        Args:
            parts: what to train, on what.
            progress: where the run stands.
            stop: set it to pause the run.
            checkpoint: folder that the run goes on from.

        Raises:
            FolderLost: the folder was moved or deleted.
            UserError: the files cannot be written.
        """
        self._parts = parts
        self._config = parts.config
        self._progress = progress
        self._stop = stop
        self._steps = Dispatcher(parts, progress)
        self._began = time.monotonic() - progress.elapsed_s
        with explained_writes(parts.project.run_dir):
            self._recorder = Recorder(parts, progress, checkpoint)
            self._answers = Answering(parts, progress, self._recorder, stop, self._began)
        if parts.team:
            parts.team.note = self._recorder.failed
        self._saved: tuple[int, Path | None] = -1, None
        """Step and folder of this session's newest checkpoint."""

    def run(self) -> Iterator[Event]:
        """Yield events until the run pauses or ends; every result is on disk before its event."""
        self._parts.assembled.model.train()
        try:
            yield from self._lost()
            ended = (yield from self._validate_first()) and (yield from self._train())
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
            is_validated = progress.pending is not None
            if is_validated and not (yield from self._validate_pending()):
                return None
            if self._parts.is_planned(progress):
                yield from self._save()
            if is_validated:
                yield from self._answers.round()

    def _lost(self) -> Iterator[Notice]:
        """Tell once what was found damaged or missing in the run folder."""
        lost, self._recorder.lost = self._recorder.lost, []
        yield from (Notice("warning", text) for text in lost)

    # A single training step

    def _one_step(self) -> Iterator[Event]:
        progress = self._progress
        made = self._steps.make_step(self._goes_straight_on())
        self._recorder.usage.step(made.batches)
        progress.step += 1
        result, metrics = made.result, made.metrics(progress.step, self._epoch, self._began)
        progress.non_finite_steps = 0 if result.applied else progress.non_finite_steps + 1
        if not result.applied:
            yield self._warning(_("Step {step}: loss or gradient is not finite; the update was left out"))
            if progress.non_finite_steps == _MAX_NON_FINITE:
                yield self._roll_back()
                yield from self._lost()
                yield from self._save()  # so that half the learning rate is not forgotten
                return
        if self._parts.is_due(progress.step, self._config.eval_every):
            progress.pending = metrics
        else:
            yield self._record(metrics)

    def _goes_straight_on(self) -> bool:
        """Whether nothing can come between the coming step and the one after it.

        That is a validation, a checkpoint (also at the run's end), a pause, or a roll-back.
        """
        config, coming = self._config, self._progress.step + 1
        is_interrupted = any(self._parts.is_due(coming, n) for n in (config.eval_every, config.save_every))
        return not (is_interrupted or self._progress.non_finite_steps or self._stop.is_set())

    def _record(self, metrics: StepMetrics) -> StepDone:
        """Write a step's line and the state to disk, then let the step be told."""
        self._recorder.step(metrics)
        return StepDone(metrics, self._recorder.usage.read())

    @property
    def _epoch(self) -> int:
        return self._parts.epoch_of(self._progress.step)

    # Once in a while: validate

    def _validate_first(self) -> Generator[Event, None, bool]:
        """Score the model before its first step, unless that was done; False if asked to stop."""
        if self._progress.initial_val_loss is None:
            if self._config.init_adapter:
                yield from self._save()  # it may lie in the archive by now, or be changed
                self._saved = -1, None
            begin = time.monotonic()
            scored = yield from self._evaluate()
            if scored is None:
                return False
            if not math.isfinite(scored):
                raise begins_bad()
            self._progress.initial_val_loss = scored
            yield Evaluated(0, 0, scored, False, time.monotonic() - begin)
            yield from self._save()
            if warning := chance_warning(scored, self._parts.vocabulary):
                yield self._warning(warning)
            yield from self._answers.round()
        return True

    def _validate_pending(self) -> Generator[Event, None, bool]:
        """Score the step whose line waits for it and write the line; False if asked to stop."""
        progress, begin = self._progress, time.monotonic()
        scored = yield from self._evaluate()
        if scored is None or progress.pending is None:
            return False
        is_finite = math.isfinite(scored)
        is_best = is_finite and (progress.best_val_loss is None or scored < progress.best_val_loss)
        metrics = replace(progress.pending, val_loss=scored if is_finite else None)
        progress.evaluations_since_best += 1
        if is_best:
            progress.evaluations_since_best = 0
            self._recorder.best(scored)
        yield self._record(metrics)
        yield from self._lost()
        yield Evaluated(progress.step, self._epoch, scored, is_best, time.monotonic() - begin)
        if not is_finite:
            yield self._warning(_("Step {step}: the validation loss is not finite"))
        return True

    def _evaluate(self) -> Generator[Event, None, float | None]:
        """Return the validation loss, or None if asked to stop before it was known."""
        batches, loss = self._parts.valid, math.nan
        before, self._progress.scored = scored_before(self._progress.scored, batches), None
        yield self._recorder.phase(Phase("validating", before.batches, len(batches)))
        self._recorder.usage.validation(batches[before.batches :])
        for scored in self._scores(batches, before):
            self._recorder.usage.scored()
            if self._stop.is_set() and scored.batches < len(batches):
                self._progress.scored = scored if math.isfinite(scored.total) else None
                return None
            loss = scored.mean
            yield self._recorder.phase(Phase("validating", scored.batches, len(batches)))
        return loss

    def _scores(self, batches: Sequence[MicroBatch], before: Scored) -> Iterator[Scored]:
        made, team = self._parts.assembled, self._parts.team
        if team:
            return evaluate_together(team, made.model, made.score, batches, before)
        return evaluate(made.model, made.score, batches, before)

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
        if self._parts.team and not self._parts.team.is_broken:
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
        self._recorder.status("paused", asked := _("paused on request"), (message_of(asked),))
        yield Paused(self._progress.step, folder)

    def _finish(self, reason: FinishReason) -> Iterator[Event]:
        last = yield from self._save(is_last=True)  # where it stopped early between two checkpoints
        progress = self._progress
        self._recorder.receipt(last, reason)
        self._recorder.status("finished", reason)
        yield Finished(progress.step, progress.best_step, progress.best_val_loss, reason)
