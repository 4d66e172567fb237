"""How training without the app tells of its events: a bar, lines or JSON."""

import sys
import time
from typing import Protocol

from engine import units
from engine.i18n import _, ngettext, number
from engine.training.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Finished,
    Notice,
    Paused,
    Phase,
    Started,
    StepDone,
    as_json,
)
from tui.console import out, print_json, say
from tui.run.phase_words import PREPARING, usage_words

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Where there is no terminal, steps are told of at most this often (seconds).
_LINE_INTERVAL_S = 5.0


class Reporter(Protocol):
    """Shows events as they come."""

    def open(self) -> None:
        """Begin."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def pausing(self) -> None:
        """Say that a pause was asked for; called on any thread."""

    def close(self) -> None:
        """Take down what is on the screen."""


def reporter(as_lines: bool) -> Reporter:
    """Return the one that suits: JSON lines if wanted, a bar on a terminal, else lines."""
    if as_lines:
        return JsonReporter()
    return BarReporter() if sys.stdout.isatty() else LineReporter()


class JsonReporter:
    """One JSON object an event."""

    def open(self) -> None:
        """Nothing comes before the first event."""

    def show(self, event: Event) -> None:
        """Print the event."""
        print_json(as_json(event))

    def pausing(self) -> None:
        """Nothing: an event will tell."""

    def close(self) -> None:
        """Nothing is left to do."""


class LineReporter:
    """One line for what matters, for logs and pipes."""

    def __init__(self) -> None:
        self._total = 0
        self._next = 0.0
        self._has_begun = False

    def open(self) -> None:
        """Nothing comes before the first event."""

    def show(self, event: Event) -> None:
        """Print the event, a step at most every few seconds; stages only until steps are made."""
        self._has_begun = self._has_begun or _is_beyond_preparing(event)
        if isinstance(event, Started):
            self._total = event.total_steps
        if isinstance(event, Phase) and not self._has_begun:
            say(f"  {_phase(event)} …")
            return
        if isinstance(event, StepDone):
            if time.monotonic() < self._next and event.metrics.step != self._total:
                return
            self._next = time.monotonic() + _LINE_INTERVAL_S
            say(_("step {step}/{total}  {figures}").format(
                step=event.metrics.step,
                total=self._total,
                figures="  ".join([figures(event), *usage_words(event.usage)]),
            ))  # fmt: skip
        elif text := sentence(event):
            say(text)

    def pausing(self) -> None:
        """Print it."""
        say(_pausing(self._has_begun))

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
        self._has_begun = False

    def open(self) -> None:
        """Draw the bar."""
        self._bar.start()

    def show(self, event: Event) -> None:
        """Move the bar or print a line above it."""
        self._has_begun = self._has_begun or _is_beyond_preparing(event)
        if isinstance(event, Phase):
            is_counted = event.name in ("validating", "answering") and event.total
            share = f" {event.done}/{event.total}" if is_counted else ""
            self._bar.update(self._task, description=_phase(event) + share)
        elif isinstance(event, Started):
            self._bar.update(self._task, total=event.total_steps, completed=event.step)
        elif isinstance(event, StepDone):
            self._bar.update(self._task, completed=event.metrics.step, figures=figures(event))
            return
        elif isinstance(event, Paused):  # perhaps in a validation, before the step was told of
            self._bar.update(self._task, completed=event.step, description=_("paused"))
        if text := sentence(event):
            say(text, self._bar.console)

    def pausing(self) -> None:
        """Print it above the bar."""
        say(_pausing(self._has_begun), self._bar.console)

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        self._bar.stop()


def _is_beyond_preparing(event: Event) -> bool:
    """Whether an event tells that model and data are ready."""
    if isinstance(event, Phase):
        return event.name not in PREPARING
    return isinstance(event, Started)


def _phase(phase: Phase) -> str:
    """Return a stage in the few words that leave room for a bar."""
    return {
        "checking": _("checking checkpoint"),
        "tokenizing": _("reading data"),
        "loading": _("loading model"),
        "reaching": ngettext(
            "waiting for {n} machine to answer", "waiting for {n} machines to answer", phase.total
        ).format(n=phase.total),
        "connecting": ngettext(
            "waiting for {n} process to load the model",
            "waiting for {n} processes to load the model",
            phase.total - 1,
        ).format(n=phase.total - 1),
        "restoring": _("back to step {step:,}").format(step=phase.step),
        "validating": _("validating"),
        "answering": _("answering prompts.txt"),
        "training": _("training"),
        "saving": _("saving"),
    }[phase.name]


def figures(event: StepDone) -> str:
    """Return loss, speed and memory of a step in a few words."""
    metrics = event.metrics
    loss = number(metrics.loss, ".3f") if metrics.loss is not None else _("not finite")
    return _("loss {loss}  {speed:,.0f} tok/s  {memory:.2f} GB").format(
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


def _pausing(has_begun: bool) -> str:
    if has_begun:
        return _("Pausing: the step is finished, then a checkpoint is saved")
    return _("Pausing: as soon as model and data are read, before the first step")


def _started(event: Started) -> str:
    begin = _("Resuming at step {step}").format(step=event.step) if event.step else _("Training")
    parameters = ngettext("{n} trainable parameter", "{n} trainable parameters", event.trainable_parameters)
    return _(
        "{begin}: {model}, {examples}, {steps}, {parameters}, micro-batches of {shapes}, {device}"
    ).format(
        begin=begin,
        model=event.model,
        examples=units.examples(event.train_examples),
        steps=units.steps(event.total_steps),
        parameters=parameters.format(n=number(event.trainable_parameters)),
        shapes=ngettext("{n} shape", "{n} shapes", event.shapes).format(n=event.shapes),
        device=event.device
        if event.ranks == 1
        else _("{count} processes, the first on {device}").format(count=event.ranks, device=event.device),
    )


def _finished(event: Finished) -> str:
    if event.best_step is None:
        return _("Finished at step {step}").format(step=event.step)
    early = _(" (stopped early)") if event.reason == "early_stopping" else ""
    return _("Finished at step {step}{early}; best validation loss {loss:.4f} at step {best}").format(
        step=event.step, early=early, loss=event.best_val_loss, best=event.best_step
    )
