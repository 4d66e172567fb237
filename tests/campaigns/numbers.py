"""Loss and gradients that are not finite.

They come at chosen steps: in every micro-batch or in one, once to three times in
a row, also with half the learning rate, in a validation, in the first one. Each
is tried straight and with pauses and sudden ends inside the streak: both have to
end in the same bytes, the metrics have to tell it, and nothing bad may be saved.
"""

import json
import math
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from engine.backend import mx
from engine.project import Project
from engine.training import dispatch, step
from engine.training import setup as assemble
from engine.training.checkpoint import load_checkpoint
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import Evaluated, Event, Started, StepDone
from engine.training.loss import LossFunction, make_loss
from engine.training.schedule import learning_rate
from engine.training.scores import ScoreFunction, make_scores
from engine.training.state import RunState
from tests.campaigns.bench import Bench, Session, Try, leftovers, sentence_faults, table
from tests.campaigns.common import Result, outcome
from tests.support.tiny import RUN

Kind = Literal["nan", "inf", "gradient"]
"""What is not finite: the loss as NaN or infinity, or the gradient of a finite loss."""
KINDS: tuple[Kind, ...] = ("nan", "inf", "gradient")
CONFIG = RUN.updated({"keep_checkpoints": 1})
"""Two micro-batches and more a step; the fewest checkpoints that may be kept."""


@dataclass
class BadNumbers:
    """Where loss or gradient is not finite; depends on the step alone, not on how often it is made."""

    kind: Kind
    steps: frozenset[int] = frozenset()
    """Bad while the learning rate is that of the schedule."""
    halved: frozenset[int] = frozenset()
    """Bad with half that rate too."""
    validations: frozenset[int] = frozenset()
    """Bad validations, by the step that they follow."""
    only: int | None = None
    """Index of the one micro-batch that is bad, -1 for the last; None for all."""
    _step: int = field(default=0, init=False)
    _call: int = field(default=0, init=False)
    _meant: int | None = field(default=None, init=False)
    _rate: float = field(default=0.0, init=False)
    _is_bad: bool = field(default=False, init=False)

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Spoil the runs of this block."""
        with (
            mock.patch.object(assemble, "make_loss", self._make_loss),
            mock.patch.object(assemble, "make_scores", self._make_scores),
            mock.patch.object(dispatch, "learning_rate", self._learning_rate),
            mock.patch.object(step.StepFunction, "launch", self._step_call(step.StepFunction.launch)),
        ):
            yield

    def at_event(self, event: Event) -> None:
        """Follow the run: it may go on with the validation of a step that was made before."""
        if isinstance(event, Started):
            self._step = event.step

    def _learning_rate(self, number: int, total: int, config: Any) -> float:
        self._step = number
        self._rate = learning_rate(number, total, config)
        return self._rate

    def _step_call(self, real: Any) -> Any:
        def call(function: Any, batches: Sequence[Any], rate: float, whole: Any = None) -> Any:
            self._call, self._meant = 0, None if self.only is None else self.only % len(batches)
            self._is_bad = self._step in (self.steps if rate == self._rate else self.halved)
            return real(function, batches, rate, whole)

        return call

    def _make_loss(self, model: Any, ways: Any) -> LossFunction:
        loss = make_loss(model, ways)

        def spoilt(model: Any, *arrays: mx.array) -> mx.array:
            value = loss(model, *arrays)
            is_meant = self._meant in (None, self._call)
            self._call += 1
            return self._spoil(value, model) if self._is_bad and is_meant else value

        return spoilt

    def _make_scores(self, model: Any, ways: Any) -> ScoreFunction:
        scores = make_scores(model, ways)

        def spoilt(model: Any, *arrays: mx.array) -> mx.array:
            value = scores(model, *arrays)
            return value * math.nan if self._step in self.validations else value

        return spoilt

    def _spoil(self, value: mx.array, model: Any) -> mx.array:
        if self.kind == "gradient":  # the root of nothing is finite, its slope is not
            return value + mx.sqrt(mx.sum(model.layers[0].self_attn.q_proj.lora_a * 0))
        return value * math.nan if self.kind == "nan" else value + math.inf


def campaign(tries: int | None, seed: int) -> list[Result]:
    """Make `tries` of the attacks, drawn at random; None makes all."""
    with tempfile.TemporaryDirectory(prefix="mqlora-numbers-") as name:
        bench = Bench(Path(name), CONFIG)
        attacks = [*_streaks(), *_again(), *_validations()]
        if tries and tries < len(attacks):
            attacks = random.Random(seed).sample(attacks, tries)
        made = [_attack(bench, case, bad) for case, bad in attacks]
        made.append(_first_validation(bench))
    return table(made)


def _streaks() -> Iterator[tuple[str, BadNumbers]]:
    """One to three bad steps in a row, from each kind of step on."""
    for length, begin, (kind, only) in product((1, 2, 3), (1, 3, 5, 10), product(KINDS, (None, 0, -1))):
        where = "every micro-batch" if only is None else "one micro-batch"
        steps = frozenset(range(begin, begin + length))
        yield f"{length} in a row, {where}", BadNumbers(kind, steps, only=only)


def _again() -> Iterator[tuple[str, BadNumbers]]:
    for begin, kind in product((1, 5, 9), KINDS):
        steps = frozenset(range(begin, begin + 3))
        yield "3 in a row, 2 again after the roll-back", BadNumbers(kind, steps, frozenset([*steps][:2]))
        yield "3 in a row, 3 again: stopped", BadNumbers(kind, steps, steps)


def _validations() -> Iterator[tuple[str, BadNumbers]]:
    for validation in (4, 6, 12):
        yield "in a validation", BadNumbers("nan", validations=frozenset([validation]))
        steps = frozenset([validation - 1, validation])
        yield "in a validation and its step", BadNumbers("nan", steps, validations=frozenset([validation]))


def _attack(bench: Bench, case: str, bad: BadNumbers) -> Try:
    """Run straight, then with a pause and with a sudden end at each step of the streak; compare."""
    project = bench.copy()
    straight = _sit(bench, project, bad)
    faults = _told(project, straight, bad)
    expected = _end(project, straight)
    for place in sorted(bad.steps | bad.validations):
        for is_pause in (True, False):
            other = bench.copy()
            last = _sit(bench, other, bad, place, is_pause)
            if not last.is_finished:  # a pause after the last step is none
                last = _sit(bench, other, bad)
            if _end(other, last) != expected:
                faults.append(f"{'paused' if is_pause else 'dropped'} at {place}: another end")
            faults += [f"left {path.name}" for path in leftovers(other)] + _bad_files(other)
            shutil.rmtree(other.root)
    shutil.rmtree(project.root)
    name = f"{bad.kind} at {sorted(bad.steps)}"
    return Try(case, tuple(f"{name}: {fault}" for fault in faults))


class _Dropped(Exception):
    """A session ends without a word."""


def _sit(bench: Bench, project: Project, bad: BadNumbers, place: int = -1, is_pause: bool = True) -> Session:
    def interrupt(event: Event, stop: Any) -> None:
        bad.at_event(event)
        if isinstance(event, StepDone) and event.metrics.step == place:
            if not is_pause:
                raise _Dropped
            stop.set()

    with bad.injected():
        try:
            return bench.sit(project, interrupt)
        except _Dropped:
            return Session()


def _end(project: Project, session: Session) -> object:
    """Return what must not depend on interruptions: the files of a finished run, else why it stopped."""
    return outcome(project) if session.is_finished else (session.refusal, sorted(_names(project)))


def _names(project: Project) -> list[str]:
    return [folder.name for folder in checkpoint_folders(project.run_dir)]


def _told(project: Project, session: Session, bad: BadNumbers) -> list[str]:
    """Return what events, metrics and state do not tell as it was."""
    faults = _bad_files(project)
    is_rolled_back = len(bad.steps) >= 3
    skipped = bad.halved if is_rolled_back else bad.steps
    state = RunState.load(project.state_file)
    if len(bad.halved) >= 3:
        is_stopped = state is not None and state.status == "failed" and "not finite" in state.reason
        return faults + sentence_faults(session.refusal) + ([] if is_stopped else ["not stopped"])
    if not session.is_finished or state is None or state.status != "finished":
        return [*faults, f"did not finish: {session.refusal}"]
    rows = [json.loads(line) for line in project.metrics_file.read_text().splitlines()]
    if [row["step"] for row in rows] != list(range(1, 13)):
        faults.append("not every step once")
    if {row["step"] for row in rows if row["loss"] is None or row["grad_norm"] is None} != skipped:
        faults.append("other steps than the bad ones are null")
    scored = {event.step: event.val_loss for event in session.events if isinstance(event, Evaluated)}
    if any((scored[row["step"]] != row["val_loss"]) for row in rows if row["val_loss"] is not None):
        faults.append("another validation loss than was told")
    if {row["step"] for row in rows if row["step"] in scored and row["val_loss"] is None} != bad.validations:
        faults.append("other validations than the bad ones are null")
    halved = [row["step"] for row in rows if row["learning_rate"] < 0.75 * _planned(row["step"])]
    if halved != (list(range(min(halved, default=0), 13)) if is_rolled_back else []):
        faults.append("the learning rate is not halved once")
    return faults


def _planned(step: int) -> float:
    return learning_rate(step, 12, CONFIG)


def _bad_files(project: Project) -> list[str]:
    """Return the files of arrays that hold a number that is not finite, and damaged checkpoints."""
    files = [*project.run_dir.glob("checkpoint_*/*.safetensors"), *project.adapters_dir.glob("*.safetensors")]
    arrays = ((path, array) for path in files for array in mx.load(str(path)).values())
    bad = {path for path, array in arrays if not mx.all(mx.isfinite(array)).item()}
    damaged = [path for path in checkpoint_folders(project.run_dir) if load_checkpoint(path) is None]
    return [f"{path.parent.name}/{path.name} is not finite" for path in bad] + [str(path) for path in damaged]


def _first_validation(bench: Bench) -> Try:
    """The base model's own score is not finite: refused, and fine once the cause is gone."""
    project = bench.copy()
    bad = BadNumbers("nan", validations=frozenset([0]))
    session = _sit(bench, project, bad)
    faults = sentence_faults(session.refusal)
    faults += [] if "validation loss is not finite" in session.refusal else ["not told"]
    last = bench.sit(project)
    faults += [] if last.is_finished and outcome(project) == bench.expected else ["another end"]
    shutil.rmtree(project.root)
    return Try("in the first validation: refused", tuple(faults))
