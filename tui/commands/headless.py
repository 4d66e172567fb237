"""Training without the app: events on the terminal, signals that pause."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as StopEvent
from types import FrameType
from typing import Protocol

from engine.config import TrainingConfig
from engine.i18n import _
from engine.project import Project
from engine.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    Mode,
    Notice,
    Paused,
    Phase,
    Started,
    StepDone,
    as_json,
)
from tui.commands.output import out, print_json, say

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Where there is no terminal, steps are told of at most this often (seconds).
_LINE_INTERVAL_S = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def train(project: Project, config: TrainingConfig | None, mode: Mode, as_lines: bool) -> int:
    """Train to the end or to a signal; return the exit code.

    Raises:
        UserError: the run was refused or cannot go on.
    """
    from engine.training.trainer import Trainer  # imports MLX

    reporter: Reporter = JsonReporter() if as_lines else BarReporter() if out.is_terminal else LineReporter()
    paused = False
    with pausing_signals() as (stop, received):
        try:
            for event in Trainer(project, config, stop, mode).run():
                reporter.show(event)
                paused = isinstance(event, Paused)
        finally:
            reporter.close()
    return 128 + received[0] if paused and received else 0


@contextmanager
def pausing_signals() -> Iterator[tuple[StopEvent, list[int]]]:
    """Let Ctrl+C, SIGTERM and SIGHUP set an event instead of ending the process.

    Yields:
        The event, and a list that gets the signals received.
    """
    stop, received = StopEvent(), list[int]()

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Reporter(Protocol):
    """Shows events as they come."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Take down what is on the screen."""


class JsonReporter:
    """One JSON object an event."""

    def show(self, event: Event) -> None:
        """Print the event."""
        print_json(as_json(event))

    def close(self) -> None:
        """Nothing is left to do."""


class LineReporter:
    """One line for what matters, for logs and pipes."""

    def __init__(self) -> None:
        self._total = 0
        self._next = 0.0

    def show(self, event: Event) -> None:
        """Print the event, a step at most every few seconds."""
        if isinstance(event, Started):
            self._total = event.total_steps
        if isinstance(event, StepDone):
            if time.monotonic() < self._next and event.metrics.step != self._total:
                return
            self._next = time.monotonic() + _LINE_INTERVAL_S
            say(_("step {step}/{total}  {figures}").format(
                step=event.metrics.step, total=self._total, figures=figures(event)
            ))  # fmt: skip
        elif text := sentence(event):
            say(text)

    def close(self) -> None:
        """Nothing is left to do."""


class BarReporter:
    """A progress bar with the figures of the last step, messages above it."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=out,
            refresh_per_second=2,
        )
        self._task = self._bar.add_task(_("preparing"), total=None, figures="")
        self._bar.start()

    def show(self, event: Event) -> None:
        """Move the bar or print a line above it."""
        if isinstance(event, Phase):
            self._bar.update(self._task, description=PHASES[event.name]())
        elif isinstance(event, Started):
            self._bar.update(self._task, total=event.total_steps, completed=event.step)
        elif isinstance(event, StepDone):
            self._bar.update(self._task, completed=event.metrics.step, figures=figures(event))
            return
        if text := sentence(event):
            say(text, self._bar.console)

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        self._bar.stop()


PHASES = {
    "tokenizing": lambda: _("reading data"),
    "loading": lambda: _("loading model"),
    "validating": lambda: _("validating"),
    "training": lambda: _("training"),
    "saving": lambda: _("saving"),
}


def figures(event: StepDone) -> str:
    """Return loss, speed and memory of a step in a few words."""
    metrics = event.metrics
    loss = f"{metrics.loss:.3f}" if metrics.loss is not None else _("not finite")
    return _("loss {loss}  {speed:.0f} tok/s  {memory:.2f} GB").format(
        loss=loss, speed=metrics.tokens_per_second, memory=metrics.peak_memory_gb
    )


def sentence(event: Event) -> str:
    """Return what an event says in one line; empty for those that a bar shows better."""
    match event:
        case Started():
            return _started(event)
        case Evaluated():
            best = _("  best so far ★") if event.is_best else ""
            return _("step {step}: validation loss {loss:.4f}{best}").format(
                step=event.step, loss=event.val_loss, best=best
            )
        case CheckpointSaved():
            return _("✓ {name} saved in {seconds:.1f} s").format(name=event.path.name, seconds=event.seconds)
        case Notice():
            return f"{'!' if event.level == 'warning' else ' '} {event.message}"
        case Paused():
            return _("Paused at step {step}, saved in {name}; go on with: mqlora-tui train").format(
                step=event.step, name=event.checkpoint.name
            )
        case Finished():
            return _finished(event)
        case _:
            return ""


def _started(event: Started) -> str:
    begin = _("Resuming at step {step}").format(step=event.step) if event.step else _("Training")
    return _(
        "{begin}: {model}, {examples} examples, {steps} steps, {parameters:,} trainable parameters, {device}"
    ).format(
        begin=begin,
        model=event.model,
        examples=event.train_examples,
        steps=event.total_steps,
        parameters=event.trainable_parameters,
        device=event.device,
    )


def _finished(event: Finished) -> str:
    if event.best_step is None:
        return _("Finished at step {step}").format(step=event.step)
    early = _(" (stopped early)") if event.reason == "early_stopping" else ""
    return _("Finished at step {step}{early}; best validation loss {loss:.4f} at step {best}").format(
        step=event.step, early=early, loss=event.best_val_loss, best=event.best_step
    )
