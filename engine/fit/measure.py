"""Measuring in a child process whether a configuration fits."""

import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from engine import child_process
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.errors import Cancelled, UserError
from engine.i18n import _
from engine.memory.predict import MemoryBudget
from engine.project import Project
from engine.sanitize import one_line
from engine.training.crash import cause_of_death
from engine.training.failures import OUT_OF_MEMORY
from engine.units import sizes_apart

LIMIT_S = 180.0
"""Seconds after which a measurement is given up."""
CHILD = ("-m", "engine.fit.measuring_child")
_ASKED_TO_END = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Signals that somebody sent; memory that runs out ends a process by others."""
_NO_MEMORY = re.compile(rf"{OUT_OF_MEMORY.pattern}|bad_alloc|MemoryError", re.IGNORECASE)


@dataclass(frozen=True)
class Measured:
    """What the largest micro-batch took: forward, backward and update."""

    peak: int
    """Most that MLX held at once, bytes, without its cache."""
    process: int
    """Most that the process held in the machine's own memory at once, loading included, bytes."""
    seconds: float
    """Of a step, once what it needs is compiled."""
    predicted: int | None
    """Peak as predicted, bytes; None where the model is of an unknown kind."""
    adapts: bool
    """Whether with less memory the run would be made otherwise, by a setting that is "auto"."""


@dataclass(frozen=True)
class Fit:
    """Whether a configuration fits."""

    fits: bool
    memory_budget: MemoryBudget
    """The memory there was."""
    shape: BatchShape
    """What was tried: the largest micro-batch of a run."""
    measured: Measured | None
    """None where memory ran out."""
    reason: str = ""
    """Why it does not fit, without a full stop; else empty."""


OnFitProgress = Callable[[str], None]


def measure_fit(
    project: Project,
    config: TrainingConfig,
    on_progress: OnFitProgress = lambda text: None,
    cancel: threading.Event | None = None,
    limit_s: float = LIMIT_S,
) -> Fit:
    """Try the largest micro-batch of a configuration in a child process.

    Args:
        project: whose model and data are used; nothing in it is changed.
        config: what to try.
        on_progress: called with what is being done, in words.
        cancel: set it on another thread to end the measurement.
        limit_s: seconds after which it is given up.

    Raises:
        UserError: it takes too long, or the run would be refused for another reason.
        Cancelled: `cancel` was set.
    """
    cancel = cancel or threading.Event()
    answer: dict[str, Any] = {}
    deadline = time.monotonic() + limit_s
    with _child(project, config) as (process, errors):
        threading.Thread(target=_watch, args=(process, cancel, deadline), daemon=True).start()
        assert process.stdout is not None
        for message in child_process.messages(process.stdout):
            answer |= message
            if phase := message.get("phase"):
                on_progress(_PHASES[phase])
        code = process.wait()
        if cancel.is_set():
            raise Cancelled
        if code and time.monotonic() >= deadline:
            raise _too_slow(limit_s)
        errors.seek(0)
        return _judge(answer, code, errors.read().decode("utf-8", errors="replace"))


@contextmanager
def _child(project: Project, config: TrainingConfig) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """Start the child; at the end of the `with` block it has ended."""
    arguments = [*CHILD, str(project.root.resolve()), config.model_dump_json()]
    with tempfile.TemporaryFile() as errors, child_process.start(arguments, errors) as process:
        try:
            yield process, errors
        finally:
            process.kill()


def _watch(process: "subprocess.Popen[bytes]", cancel: threading.Event, deadline: float) -> None:
    """End the child when that is asked for, or its time is over."""
    while process.poll() is None:
        if cancel.wait(0.1) or time.monotonic() >= deadline:
            process.kill()
            return


def _judge(answer: dict[str, Any], code: int, errors: str) -> Fit:
    """Return what the child's messages, exit code and errors mean.

    Lack of memory ends a process by many signals: the system's, an abort in MLX, a null
    pointer in a BLAS. So every death by one is an answer, whose cause is told.

    Raises:
        UserError: it refused, or ended with an exception that is not about memory.
    """
    problem, fix = answer.get("refused") or ("", "")
    if "shape" in answer:
        budget, shape = MemoryBudget(**answer["memory_budget"]), BatchShape(**answer["shape"])
        if found := answer.get("measured"):
            return _compared(budget, shape, Measured(**found))
        if (code < 0 and -code not in _ASKED_TO_END) or _NO_MEMORY.search(problem + errors):
            cause = cause_of_death(-code, errors)[0] if code < 0 else _("MLX did not get the memory")
            return Fit(False, budget, shape, None, cause)
    if problem:
        raise UserError(problem, fix)
    last = one_line(errors.strip().rpartition("\n")[2], 200)
    raise UserError(
        _("The measurement ended without an answer: {reason}").format(reason=last or str(code)),
        _("see if the machine is fine with: mqlora-tui check"),
    )


def _compared(budget: MemoryBudget, shape: BatchShape, measured: Measured) -> Fit:
    """Judge a measurement that came to its end: on a machine that swaps it can, and yet not fit."""
    is_own_memory = budget.device == "cpu" or sys.platform == "darwin"
    need = max(measured.peak, measured.process) if is_own_memory else measured.peak
    if need <= budget.free:
        return Fit(True, budget, shape, measured)
    needs, has = sizes_apart(need, budget.free)
    reason = _("It took {need}, more than the {free} that is free").format(need=needs, free=has)
    return Fit(False, budget, shape, measured, reason)


def _too_slow(limit_s: float) -> UserError:
    return UserError(
        _("The measurement took longer than {n:.0f} s and was ended").format(n=limit_s),
        _("close other programs, or measure with a smaller max_seq_length"),
    )


_PHASES = {
    "tokenizing": _("Reading the data …"),
    "loading": _("Loading the base model …"),
    "first_step": _("Training the largest micro-batch …"),
    "second_step": _("Training it again, timed …"),
}
