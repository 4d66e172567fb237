"""Starts, pauses and follows training; owned by the app, so it outlives every screen."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from engine.analysis.run_folder import run_config
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.project import Project
from engine.training.events import AS_BEFORE, Event, Finished, Mode, Paused, Resumption, Started
from engine.training.lock import lock_owner
from engine.training.lock_file import Owner
from engine.training.state import RunState
from tui.run.defect import training_defect
from tui.run.elsewhere import Elsewhere, train_arguments
from tui.run.handover import is_starting
from tui.run.machines import load_machines
from tui.run.messages import RunChanged, TrainingEvents, TrainingFailed
from tui.run.other_process import ask_to_pause, can_ask, given_up, out_of_reach
from tui.run.outbox import Outbox
from tui.run.status import RunPhase, RunStatus

from textual.message import Message
from textual.message_pump import MessagePump


class Engine(Protocol):
    """The part of `engine.worker.EngineThread` that training needs."""

    stop_event: threading.Event

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `function` on the thread that owns MLX."""
        ...


class Running(Protocol):
    """The part of `engine.training.trainer.Trainer` that the controller drives."""

    def run(self) -> Iterator[Event]:
        """Train and tell about it."""
        ...


CreateTrainer = Callable[[Project, TrainingConfig | None, threading.Event, Mode, Resumption], Running]


@dataclass(frozen=True)
class RunEnding:
    """What is told of a run when it no longer holds the engine."""

    last: Paused | Finished | None = None
    refusal: UserError | None = None
    has_begun: bool = False
    """Whether there was something to save."""


class TrainingController:
    """Owns the one training run of this process.

    Its public methods belong to the app's thread. The trainer is created and driven on
    the engine's thread, which reports with `post_message` and nothing else, so it never
    waits for the terminal. Every follower gets `TrainingEvents`, `TrainingFailed` and
    `RunChanged`; the last event and a failure only when `status` tells of the end, so that
    whoever acts on them finds the run as they say.
    """

    def __init__(self, project: Project, engine: Engine, create: CreateTrainer | None = None) -> None:
        self._project = project
        self._engine = engine
        self._create = create or create_trainer
        self._followers: tuple[MessagePump, ...] = ()
        self._job: Future[RunEnding] | None = None
        self._config: TrainingConfig | None = None
        """What the run of this process was begun with; None where it goes on with its own."""
        self._asked: tuple[Owner, str] | None = None
        """The other process that was asked to pause, and its session; empty while that is not known."""
        self._elsewhere = Elsewhere(project, self._post_elsewhere)
        self.is_taking_over = False
        """Whether this process waits for another one to give up its run."""

    @property
    def is_running(self) -> bool:
        """Whether this process trains, or is about to start or pause."""
        return self._job is not None and not self._job.done()

    @property
    def refusal(self) -> UserError | None:
        """Why the last run of this process ended, if it could not go on or be saved."""
        is_over = self._job is not None and self._job.done()
        return self._job.result().refusal if self._job and is_over else None

    @property
    def is_lost(self) -> bool:
        """Whether the last run of this process had begun when it ended with a refusal."""
        return self.refusal is not None and self._job is not None and self._job.result().has_begun

    def follow(self, follower: MessagePump) -> None:
        """Send the messages of this and later runs to `follower`, the app or a screen."""
        self._followers = (*self._followers, follower)

    def start(self, config: TrainingConfig | None, mode: Mode = "auto", how: Resumption = AS_BEFORE) -> None:
        """Start or resume training; without a configuration that of the run to resume is taken.

        Where several machines or processes are chosen they train in the background, led by a process
        of its own: MLX connects once in the life of one, which a lost card may hang. A refusal of
        theirs comes as `TrainingFailed`.

        Raises:
            UserError: this process trains already, another one does, or the machines cannot be used.
        """
        self._require_free()
        machines = load_machines(self._project)
        if machines.is_several:
            self._elsewhere.start(train_arguments(self._project, config, mode, how, machines))
            return
        self._engine.stop_event.clear()
        self._config = config
        self._job = self._engine.submit(self._drive, config, mode, how)
        self._post(RunChanged)
        self._job.add_done_callback(lambda job: self._post_ending(job.result()))

    def _require_free(self) -> None:
        if self._elsewhere.is_starting:
            raise UserError(_("The run is starting in the background"), _("wait until it is shown running"))
        if self.is_running:
            raise UserError(_("Training is running already"), _("press Ctrl+C to pause it"))
        if other := self.other_process():
            who = _("Process {pid}").format(pid=other.pid) if other.pid else _("Another process")
            fix = _("press Ctrl+C to pause it, then start here")
            if not other.pid:
                fix = _("it has only just begun; try again in a moment")
            elif not can_ask(self._project, other):
                fix = _("ask whoever trains to pause it, or wait for its end")
            raise UserError(_("{who} trains in this folder").format(who=who), fix)

    def pause(self) -> bool:
        """Ask the run of this machine, in any process, to save and stop; False if there is none."""
        if self.is_running:
            self._engine.stop_event.set()
        elif not self._interrupt_other():
            return False
        self._post(RunChanged)
        return True

    def askable(self) -> Owner | None:
        """Return the other process that trains here, if `pause` can ask it."""
        other = self.other_process()
        return other if other and can_ask(self._project, other) else None

    async def take_over(self, asked: Callable[[], None]) -> bool:
        """Let the other process of this machine pause, then go on with its run here.

        Args:
            asked: called once it was asked to pause.

        Returns:
            Whether the run goes on, here or with the chosen machines; otherwise it was finished first.

        Raises:
            UserError: there is no such process, it does not pause or ends otherwise.
        """
        other = self.other_process()
        if other is None:
            raise UserError(_("No other process trains here"), _("press Enter to go on with the run"))
        if not self.pause():
            raise UserError(out_of_reach(other), _("ask whoever trains to pause it"))
        asked()
        self.is_taking_over = True
        try:
            can_go_on = await given_up(self._project, other)
        finally:
            self.is_taking_over = False
        if can_go_on:
            self.start(None, "resume")
        return can_go_on

    def _interrupt_other(self) -> bool:
        other = self.other_process()
        if other is None or not ask_to_pause(self._project, other):
            return False
        self._asked = other, self._session()
        return True

    def _is_pausing(self, other: Owner) -> bool:
        """Whether `other` still makes the session that it was asked to end; it may make another by now."""
        if self._asked == (other, ""):
            self._asked = other, self._session()
        return self._asked == (other, self._session())

    def _session(self) -> str:
        """Return when the session under way began; empty while it gets ready."""
        state = RunState.load(self._project.state_file)
        return state.started if state and state.is_alive else ""

    async def wait(self) -> None:
        """Return as soon as no training is running here."""
        if self._job is not None:
            await asyncio.wrap_future(self._job)

    def other_process(self) -> Owner | None:
        """Return the other process that trains in this project, if one does."""
        owner = lock_owner(self._project)
        return owner if owner and owner.pid != os.getpid() else None

    def status(self) -> RunStatus:
        """Return what the run is doing, as its files tell."""
        config = run_config(self._project)
        if self.is_running:
            phase: RunPhase = "pausing" if self._engine.stop_event.is_set() else "running"
            return RunStatus(phase, config=self._config or config)  # on disk is at first the run before
        if other := self.other_process():
            return RunStatus("pausing" if self._is_pausing(other) else "running", config=config)
        if self._elsewhere.is_starting or is_starting(self._project):
            return RunStatus("starting", config=config)
        state = RunState.load(self._project.state_file)
        if state is None:
            return RunStatus()
        if state.status == "finished":
            return RunStatus("finished", state.step)
        return RunStatus("interrupted" if state.status == "running" else state.status, state.step, config)

    def _drive(self, config: TrainingConfig | None, mode: Mode, how: Resumption) -> RunEnding:
        """Run the trainer to its end, on the engine's thread; return what is still to be told."""
        stop = self._engine.stop_event
        outbox = Outbox(lambda events: self._post(lambda: TrainingEvents(events)))
        last: Paused | Finished | None = None
        refusal: UserError | None = None
        has_begun = False
        try:
            for event in self._create(self._project, config, stop, mode, how).run():
                has_begun = has_begun or isinstance(event, Started)
                if isinstance(event, Paused | Finished):
                    last = event
                else:
                    outbox.add(event)
        except Exception as error:
            refusal = error if isinstance(error, UserError) else training_defect(self._project, error)
        outbox.flush()
        return RunEnding(last, refusal, has_begun)

    def _post_ending(self, ending: RunEnding) -> None:
        self._post(RunChanged)
        if last := ending.last:
            self._post(lambda: TrainingEvents((last,)))
        if refusal := ending.refusal:
            self._post(lambda: TrainingFailed(refusal))

    def _post_elsewhere(self, refusal: UserError | None) -> None:
        self._post(RunChanged)
        if refusal:
            self._post(lambda: TrainingFailed(refusal))

    def _post(self, create: Callable[[], Message]) -> None:
        """Post a message of its own to each follower; safe on every thread."""
        for follower in self._followers:
            follower.post_message(create())


def create_trainer(
    project: Project, config: TrainingConfig | None, stop: threading.Event, mode: Mode, how: Resumption
) -> Running:
    """Return the engine's trainer; imports MLX, so only on the engine's thread."""
    from engine.training.trainer import Trainer

    return Trainer(project, config, stop, mode, how)
