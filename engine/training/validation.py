"""What a run's model loses on the validation file, before its first step and after others, as events."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from threading import Event as StopEvent

from engine.backend import mx
from engine.dataset.batches.micro_batch import MicroBatch
from engine.i18n import _
from engine.model.adapter import adapter_weights
from engine.model_folder.dimensions import ModelDimensions
from engine.training.events import Evaluated, Event, Notice, Phase
from engine.training.failures import begins_bad
from engine.training.notices import chance_warning
from engine.training.parts import Parts
from engine.training.progress import NOTHING, Progress, Scored
from engine.training.recorder import Recorder
from engine.training.scores import evaluate, scored_before
from engine.training.together import evaluate_together

_CAN_WAIT = 5e11
"""Floating-point operations of a validation, some 5 s of two cores of a CPU, from which on the first step
does not wait for it: whether a run fits and how fast it is shows first."""


class Validation:
    """Scores the model, keeps the best adapter and counts since when none was better."""

    def __init__(
        self,
        parts: Parts,
        progress: Progress,
        recorder: Recorder,
        stop: StopEvent,
        untrained: dict[str, mx.array],
    ) -> None:
        """Score nothing yet.

        Args:
            parts: what is trained, and on what it is scored.
            progress: where the run stands; results are noted there.
            recorder: of the run.
            stop: set it to leave a validation after the micro-batch at hand; it goes on from there.
            untrained: the adapter's arrays as they were before the first step, by name; emptied as soon as
                they are scored.
        """
        self._parts = parts
        self._progress = progress
        self._recorder = recorder
        self._stop = stop
        self._untrained = untrained
        self._scored = NOTHING
        """What the last validation found."""

    @property
    def can_wait(self) -> bool:
        """Whether the first one is made after the first step: it takes long, and no adapter went before.

        A fresh adapter is had again at any time, whatever it became; one that a run goes on from is not.
        """
        config = self._parts.config
        sizes = ModelDimensions.read(self._parts.project.model_dir(config.model))
        if config.init_adapter or sizes is None:
            return False
        tokens = sum(batch.shape.tokens for batch in self._parts.valid)
        return 2 * sizes.parameters * tokens > _CAN_WAIT  # a product and a sum for each

    def first(self) -> Generator[Event, None, bool]:
        """Score the model as it was before its first step; False if asked to stop.

        Raises:
            PeerLost: another process is gone.
            UserError: the loss is not finite.
        """
        begin = time.monotonic()
        scored = yield from self._evaluate_untrained() if self._progress.step else self._evaluate()
        if scored is None:
            return False
        if not math.isfinite(scored):
            raise begins_bad()
        self._progress.initial_val_loss = scored
        self._untrained.clear()
        self._recorder.validation(self._scored, 0)
        yield Evaluated(0, 0, scored, False, time.monotonic() - begin)
        return True

    def doubts(self) -> Iterator[Notice]:
        """Warn of a model that was no better than chance before its first step."""
        loss = self._progress.initial_val_loss
        if loss is not None and (warning := chance_warning(loss, self._parts.vocabulary)):
            yield Notice("warning", warning)

    def pending(self) -> Generator[Event, None, bool]:
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
            self._recorder.best.keep(scored)
        self._recorder.validation(self._scored, progress.step)
        yield self._recorder.step(metrics)
        yield from self._recorder.notices()
        epoch, seconds = self._parts.epoch_of(progress.step), time.monotonic() - begin
        yield Evaluated(progress.step, epoch, scored, is_best, seconds)
        if not is_finite:
            text = _("Step {step}: the validation loss is not finite")
            yield Notice("warning", text.format(step=progress.step))
        return True

    def _evaluate_untrained(self) -> Generator[Event, None, float | None]:
        """Score what the first step began with; the model is as before afterwards."""
        model = self._parts.assembled.model
        trained = adapter_weights(model)
        try:
            model.load_weights(list(self._untrained.items()), strict=False)
            self._parts.begin_together()
            scored = yield from self._evaluate()
        finally:
            model.load_weights(list(trained.items()), strict=False)
        self._parts.begin_together()
        return scored

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
            loss, self._scored = scored.mean, scored
            yield self._recorder.phase(Phase("validating", scored.batches, len(batches)))
        return loss

    def _scores(self, batches: Sequence[MicroBatch], before: Scored) -> Iterator[Scored]:
        made, team = self._parts.assembled, self._parts.team
        if team:
            return evaluate_together(team, made.model, made.score, batches, before)
        return evaluate(made.model, made.score, batches, before)
