"""The trainer: everything between a configuration and the events of its run."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Event as StopEvent
from typing import Any

from engine.backend import describe_device, is_cpu
from engine.cluster.speedup import refuse_if_slower
from engine.cluster.team import Team, exit_at_once
from engine.cluster.world import ALONE, PeerLost, World
from engine.config import TrainingConfig
from engine.dataset.batches.micro_batch import micro_batches
from engine.dataset.batches.tokenize import Example, ExampleTokenizer
from engine.dataset.inspect.load import LoadedFile, load_file
from engine.dataset.inspect.model_tokens import example_tokenizer, template_settings, token_faults
from engine.hardware.keep_awake import keep_awake
from engine.hardware.power import night_warnings, read_battery
from engine.i18n import _, ngettext
from engine.memory.suggest import refuse_if_too_large
from engine.model.adapter import adapter_weights
from engine.model.mlx_lm_adapter import BASE_MODEL, BASE_PRINT, TEMPLATE_SETTINGS
from engine.project import Project
from engine.reply import Replier
from engine.sanitize import one_line
from engine.training.checkpoint import RunIdentity
from engine.training.checkpoint_folders import checkpoint_folders
from engine.training.events import AS_BEFORE, Event, Mode, Notice, Phase, Resumption, Started
from engine.training.execution_plan import Plan
from engine.training.folder_handle import FolderLost, HeldFolder, lost
from engine.training.init_adapter import init_words, read_init_adapter
from engine.training.introduction import greet, join
from engine.training.lock import run_lock
from engine.training.loop import TrainingLoop
from engine.training.memory_limits import limit_cache, limits_restored, read_budget
from engine.training.notices import data_notices, recomputing, unusable, warn_of_the_display
from engine.training.parts import Parts, restore
from engine.training.progress import Progress
from engine.training.resume import RunStart, open_run
from engine.training.run_folder import claim_folder
from engine.training.setup import assemble, largest, shapes_for
from engine.training.state import RunState, reason_of


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
        """
        self._project = project
        self._config = config
        self._stop = stop
        self._mode = mode
        self._how = how
        self._world, self._leave, self._goes_on = world, leave, goes_on

    def run(self) -> Generator[Event, None, None]:
        """Yield the run's events until it pauses or ends.

        Nothing of an earlier run is touched before data and model are known to be usable.

        Raises:
            UserError: the run is refused, or cannot go on.
        """
        with run_lock(self._project) as held, keep_awake(), limits_restored(), self._team(held) as team:
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
            with Team(self._world, self._project, leave, self._goes_on) as team:
                yield team
        except PeerLost as lost:
            if lost.goes_on:
                held.pass_on()
            raise

    def _session(self, held: HeldFolder, team: Team | None) -> Iterator[Event]:
        if self._mode != "restart" and checkpoint_folders(self._project.run_dir):
            yield Phase("checking")
        start = open_run(self._project, self._config, self._mode, self._how)
        if team:
            greet(team, start)
            if away := team.world.size - team.world.here:
                yield Phase("reaching", total=away)
                team.reach(self._stop)
        if start.checkpoint and (text := _fewer(self._project, self._world.size)):
            yield Notice("info", text)
        parts = yield from self._prepare(start, held, team)
        progress = start.checkpoint.progress if start.checkpoint else Progress()
        if start.checkpoint:
            yield Phase("restoring", step=progress.step)
            restore(start.checkpoint, parts)
        if team:
            yield Phase("connecting", total=team.world.size)
            join(team, parts)
        folder = start.checkpoint.folder if start.checkpoint else None
        try:
            held.require_in_place()
            messages = claim_folder(parts, start)
            events = TrainingLoop(parts, progress, self._stop, folder).run()
        except FolderLost:
            raise lost(held, None, progress.step) from None
        for message in messages:
            yield Notice("warning", message)
        yield _started(parts, progress)
        yield from events if is_cpu() else warn_of_the_display(events)

    def _prepare(self, start: RunStart, held: HeldFolder, team: Team | None) -> Generator[Event, None, Parts]:
        for message in (*start.notices, *night_warnings(read_battery())):
            yield Notice("warning", message)
        config, project = start.identity.config, self._project
        init = None if start.checkpoint else read_init_adapter(project, start.identity)
        if init:
            yield Notice("info", init_words(init))
        yield Phase("tokenizing")
        tokenize = example_tokenizer(project.model_dir(config.model), config)
        train, valid = self._load_data(config, tokenize)
        if team:
            team.require_all()  # one that is refused says so at once
        folder = project.model_dir(config.model)
        yield from data_notices((train, valid), token_faults(folder, tokenize))
        slower = refuse_if_slower(
            self._world, [len(row.tokens) for row in train.examples], config, folder, start.checkpoint is None
        )
        if slower:
            yield Notice("warning", slower)
        if (rows := config.examples_per_step) < self._world.size:
            yield Notice("warning", _idle(rows, self._world.size))
        yield Phase("loading")
        divisor, budget = start.micro_batch_divisor, read_budget(config.max_memory_gb)
        budget = budget.divided(self._world.sharing_memory)
        shapes = shapes_for(train.examples, valid.examples, config, divisor, self._world.speeds)
        limit_cache(budget)
        shape = largest(shapes, folder, config)
        warning = refuse_if_too_large(folder, config, budget, shape)
        if warning:
            yield Notice("warning", warning)
        made = assemble(folder, config, shape, budget, _kept_plan(start), divisor, init)
        made.step.warm_up(shapes, self._stop)
        if made.reason:
            yield Notice("info", made.reason)
        if made.plan.recomputed_layers:
            yield Notice("info", recomputing(made.plan.recomputed_layers, made.adapter_config["num_layers"]))
        identity = replace(start.identity, plan=made.plan)
        if init:
            identity = replace(identity, init_adapter=init.sha256)
        return Parts(
            project=project,
            held=held,
            identity=identity,
            assembled=replace(
                made, adapter_config=_with_origin(made.adapter_config, identity, train.examples)
            ),
            replier=Replier(made.base, tokenize, template_settings(train.examples)),
            train=train.examples,
            valid=micro_batches(valid.examples, shapes),
            valid_examples=len(valid.examples),
            vocabulary=tokenize.vocabulary,
            shapes=shapes,
            micro_batch_divisor=divisor,
            team=team,
        )

    def _load_data(self, config: TrainingConfig, tokenize: ExampleTokenizer) -> tuple[LoadedFile, LoadedFile]:
        """Read both files.

        Raises:
            UserError: one of them is missing or has no usable row.
        """
        loaded = []
        for path in (self._project.train_file, self._project.valid_file):
            file = load_file(path, tokenize, config)
            if not file.examples:
                raise unusable(file, path)
            loaded.append(file)
        return loaded[0], loaded[1]


def _with_origin(
    adapter_config: dict[str, Any], identity: RunIdentity, examples: Sequence[Example]
) -> dict[str, Any]:
    """Return the content of `adapter_config.json` with its base model and what a chat template is told."""
    base = {BASE_MODEL: identity.config.model, BASE_PRINT: identity.model}
    settings = template_settings(examples)
    return adapter_config | base | ({TEMPLATE_SETTINGS: settings} if settings else {})


def _kept_plan(start: RunStart) -> Plan | None:
    """Return the plan that the run was made with; memory that ran out asks for another one."""
    plan = start.checkpoint.identity.plan if start.checkpoint else None
    return plan if plan and plan.micro_batch_divisor == start.micro_batch_divisor else None


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


def _idle(rows: int, ranks: int) -> str:
    """Say that a step has fewer rows than there are processes."""
    return ngettext(
        "A step has {n} row for {ranks} processes, so that some compute nothing; raise batch_size or "
        "gradient_accumulation, or take fewer",
        "A step has {n} rows for {ranks} processes, so that some compute nothing; raise batch_size or "
        "gradient_accumulation, or take fewer",
        rows,
    ).format(n=rows, ranks=ranks)


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
