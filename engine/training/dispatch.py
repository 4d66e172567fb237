"""Makes a run's optimizer steps in their order, on a device that need not wait for the host.

A GPU that was handed the next step before the result of this one is read has no gap between
them, in which Python builds thousands of operations ("asynchronous dispatch").
"""

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engine.backend import is_cpu, mx
from engine.dataset.batches.micro_batch import MicroBatch
from engine.training.events import StepMetrics
from engine.training.parts import Parts
from engine.training.progress import Progress
from engine.training.schedule import learning_rate
from engine.training.state import now
from engine.training.step import PendingStep, StepResult
from engine.training.step_rows import StepRows, random_key

SHORT_STEP_S = 1.0
"""After a request to pause one more step may run: only steps that nobody minds waiting for, in seconds."""


def can_run_ahead() -> bool:
    """Whether a step can be built while another is computed: on GPUs; a CPU does both itself."""
    return not is_cpu()


@dataclass(frozen=True)
class MadeStep:
    """An optimizer step that is done."""

    result: StepResult
    learning_rate: float
    batches: Sequence[MicroBatch]
    seconds: float
    """How long it took from when it was begun, or from the end of the step before if that was later."""
    ended: float
    """When it ended, on the clock of `time.monotonic`."""

    def metrics(self, step: int, epoch: int, began: float) -> StepMetrics:
        """Return what is recorded of it.

        Args:
            step: its number, from 1.
            epoch: that it belongs to, from 0.
            began: when training began, pauses left out, on the clock of `ended`.
        """
        result = self.result
        return StepMetrics(
            step=step,
            epoch=epoch,
            loss=result.loss if result.applied else None,
            val_loss=None,
            learning_rate=self.learning_rate,
            grad_norm=result.grad_norm if result.applied else None,
            tokens=result.real_tokens,
            tokens_per_second=round(result.real_tokens / self.seconds, 2),
            peak_memory_gb=round(mx.get_peak_memory() / 1e9, 4),
            elapsed_s=round(self.ended - began, 3),
            time=now(),
        )


@dataclass(frozen=True)
class _Launched:
    pending: PendingStep
    learning_rate: float
    batches: Sequence[MicroBatch]
    began: float

    def wait(self) -> tuple[StepResult, float]:
        """Return the result, and when it was there."""
        return self.pending.result(), time.monotonic()


class Dispatcher:
    """Hands steps to the device, one more than was asked for where that is allowed and pays."""

    def __init__(self, parts: Parts, progress: Progress) -> None:
        """Hand over nothing yet.

        Args:
            parts: what is trained.
            progress: where the run stands; read whenever a step is handed over.
        """
        self._parts = parts
        self._progress = progress
        self._next: _Launched | None = None
        self._last_ended, self._last_seconds = -math.inf, math.inf
        self._rows = StepRows(parts.train, parts.shapes, parts.config, parts.speeds)

    @property
    def is_ahead(self) -> bool:
        """Whether the device has a step that was not asked for yet: it has changed the model already."""
        return self._next is not None

    def make_step(self, is_followed: bool) -> MadeStep:
        """Make the step that follows `progress.step`, and wait for it.

        Args:
            is_followed: whether nothing that may come of it keeps the step after it from being next:
                that one may be handed over early then, and has to be asked for next.
        """
        number = self._progress.step + 1
        current, self._next = self._next or self._launch(number), None
        if is_followed and can_run_ahead() and self._last_seconds < SHORT_STEP_S:
            result, ended = self._run_ahead(current, number + 1)
        else:
            result, ended = current.wait()
        seconds = ended - max(current.began, self._last_ended)
        self._last_ended, self._last_seconds = ended, seconds
        return MadeStep(result, current.learning_rate, current.batches, seconds, ended)

    def _run_ahead(self, current: _Launched, following: int) -> tuple[StepResult, float]:
        """Launch the following step, then return the result of the current one and when it was there.

        MLX holds this thread up until the device has done much of the following step,
        so another one waits for the current step: else nobody would know when it ended.
        """
        with ThreadPoolExecutor(max_workers=1) as waiter:
            waited = waiter.submit(current.wait)
            self._next = self._launch(following)
        return waited.result()

    def _launch(self, number: int) -> _Launched:
        began, parts = time.monotonic(), self._parts
        rate = learning_rate(number, parts.total_steps, parts.config) * self._progress.learning_rate_factor
        if parts.team:  # first of all: the others cut their rows while this one does
            parts.team.others.tell("step", number=number, rate=rate)
            mx.random.seed(random_key(parts.config.seed, number, 0))
        shares = self._rows.shares(number)
        whole = [batch for share in shares for batch in share]
        return _Launched(parts.assembled.step.launch(shares[0], rate, whole), rate, whole, began)
