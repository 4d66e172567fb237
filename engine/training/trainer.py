"""The trainer: everything between a configuration and the events of its run."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from threading import Event as StopEvent

from engine.backend import describe_device, is_cpu
from engine.cluster.lost import exit_at_once
from engine.cluster.team import Team
from engine.cluster.watch import Beat
from engine.cluster.world import ALONE, PeerLost, World
from engine.config import TrainingConfig
from engine.hardware.keep_awake import keep_awake
from engine.i18n import _
from engine.model.adapter import adapter_weights
from engine.project import Project
from engine.sanitize import one_line
from engine.trackers.installed import require_installed
from engine.training.beginning import Beginning
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import AS_BEFORE, Event, Mode, Notice, Phase, Resumption, Started
from engine.training.folder_handle import FolderLost, HeldFolder, lost
from engine.training.introduction import greet, join
from engine.training.lock import run_lock
from engine.training.loop import TrainingLoop
from engine.training.memory_limits import limits_restored
from engine.training.notices import warn_of_the_display
from engine.training.parts import Parts, restore
from engine.training.preparation import Preparation
from engine.training.progress import Progress
from engine.training.resume import open_run
from engine.training.run_folder import claim_folder
from engine.training.state import RunState, reason_of
from engine.training.tracking import tracked


class Trainer:
    """One session of a run. Make it and iterate it on one thread: MLX's streams belong to it."""

    def __init__(
        self,
        project: Project,
        config: TrainingConfig | None,
        stop: StopEvent,
        mode: Mode = "auto",
        how: Resumption = AS_BEFORE,
        world: World = ALONE,
        leave: Callable[[PeerLost], None] = exit_at_once,
        goes_on: Callable[[int | None], bool] = lambda _rank: False,
        beat: Beat = lambda _is_over: None,
        beginning: Beginning | None = None,
    ) -> None:
        """Prepare nothing yet.

        Args:
            project: the project directory.
            config: the wanted configuration; None takes that of the run to resume.
            stop: set it to pause the run with a checkpoint after the current step (on a GPU perhaps
                one short step more).
            mode: see `engine.training.events.Mode`.
            how: what may be otherwise than before when an unfinished run goes on.
            world: the processes that train together, of which this is the first.
            leave: see `Team`.
            goes_on: whether this process becomes one that goes on without another that is lost; the lock of
                the run's folder is passed on to it.
            beat: see `Team`.
            beginning: passed before anything is written; others end this process where that loses nothing.
        """
        self._project = project
        self._config = config
        self._stop = stop
        self._mode = mode
        self._how = how
        self._world, self._leave, self._goes_on, self._beat = world, leave, goes_on, beat
        self._beginning = beginning or Beginning()

    def run(self) -> Generator[Event, None, None]:
        """Yield the run's events until it pauses or ends.

        Nothing of an earlier run is touched before data and model are known to be usable.

        Raises:
            UserError: the run is refused, or cannot go on.
        """
        with run_lock(self._project) as held, keep_awake(), limits_restored(), self._team(held) as team:
            self._beginning.if_given_up(held.leave_no_trace)
            if team:
                self._beginning.if_given_up(team.kill)
            yield from self._session(held, team)

    @contextmanager
    def _team(self, held: HeldFolder) -> Iterator[Team | None]:
        """The other processes, for as long as the run goes on; None where there are none."""

        def leave(lost: PeerLost) -> None:
            if lost.goes_on:
                held.pass_on()
            self._leave(lost)

        if self._world.size == 1:
            yield None
            return
        try:
            with Team(self._world, self._project, leave, self._goes_on, self._beat) as team:
                yield team
        except PeerLost as lost:
            if lost.goes_on:
                held.pass_on()
            raise

    def _session(self, held: HeldFolder, team: Team | None) -> Iterator[Event]:
        if self._mode != "restart" and checkpoint_folders(self._project.run_dir):
            yield Phase("checking")
        start = open_run(self._project, self._config, self._mode, self._how)
        require_installed(start.identity.config.trackers)
        if team:
            greet(team, start)
            if away := team.world.size - team.world.here:
                yield Phase("reaching", total=away)
                team.reach(self._stop)
        if start.checkpoint and (text := _fewer(self._project, self._world.size)):
            yield Notice("info", text)
        parts = yield from Preparation(self._project, held, start, self._stop, self._world, team).run()
        progress = start.checkpoint.progress if start.checkpoint else Progress()
        untrained = adapter_weights(parts.assembled.model) if progress.initial_val_loss is None else {}
        if start.checkpoint:
            yield Phase("restoring", step=progress.step)
            restore(start.checkpoint, parts)
        if team:
            yield Phase("connecting", total=team.world.size)
            join(team, parts)
        folder = start.checkpoint.folder if start.checkpoint else None
        self._beginning.begin()
        try:
            held.require_in_place()
            messages = claim_folder(parts, start)
            events = TrainingLoop(parts, progress, self._stop, untrained, self._beginning, folder).run()
            events = tracked(events, parts, progress.lines) if parts.config.trackers else events
        except FolderLost:
            raise lost(held, None, progress.step) from None
        for message in messages:
            yield Notice("warning", message)
        yield _started(parts, progress)
        yield from events if is_cpu() else warn_of_the_display(events)


def _fewer(project: Project, ranks: int) -> str:
    """Say where a run goes on with fewer processes than before, or nothing."""
    state = RunState.load(project.state_file)
    if state is None or state.ranks <= ranks:
        return ""
    text = _(
        "{before} processes trained together before, {now} from here on; --ranks or --hosts brings them back"
    ).format(before=state.ranks, now=ranks)
    went_on = state.status == "running" and state.lost_rank is not None
    return f"{one_line(reason_of(state), 400).rstrip('.')}; {text}" if went_on else text


def _started(parts: Parts, progress: Progress) -> Started:
    return Started(
        step=progress.step,
        total_steps=parts.total_steps,
        steps_per_epoch=parts.steps_per_epoch,
        num_epochs=parts.config.num_epochs,
        train_examples=len(parts.train),
        valid_examples=parts.valid_examples,
        trainable_parameters=sum(array.size for array in adapter_weights(parts.assembled.model).values()),
        model=parts.config.model,
        device=describe_device(),
        shapes=len(parts.shapes),
        ranks=len(parts.speeds),
    )
