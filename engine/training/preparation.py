"""From the start of a run to its parts: the data is read and the model loaded, with notices on both."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as StopEvent
from typing import Any

from engine.cluster.speedup import refuse_if_slower
from engine.cluster.team import Team
from engine.cluster.world import World
from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.batches.micro_batch import micro_batches
from engine.dataset.batches.tokenize import ExampleTokenizer
from engine.dataset.inspect.load import LoadedFile, load_file
from engine.dataset.inspect.model_tokens import example_tokenizer, template_settings, token_faults
from engine.hardware.power import power_warnings, read_battery
from engine.i18n import ngettext
from engine.model.adapter_file import AdapterFile
from engine.model.mlx_lm_adapter import BASE_MODEL, BASE_PRINT, TEMPLATE_SETTINGS
from engine.project import Project
from engine.reply import Replier
from engine.training.checkpoint import RunIdentity
from engine.training.events import Event, Notice, Phase
from engine.training.execution_plan import Plan, refuse_dropout
from engine.training.folder_handle import HeldFolder
from engine.training.init_adapter import init_words, read_init_adapter
from engine.training.notices import data_notices, left_without, recomputing, unusable
from engine.training.parts import Parts
from engine.training.resume import RunStart
from engine.training.setup import Assembled, Layout, assemble, lay_out


@dataclass(frozen=True)
class _Data:
    """The rows of a run, and what made tokens of them."""

    tokenize: ExampleTokenizer
    train: LoadedFile
    valid: LoadedFile


class Preparation:
    """Reads and loads what a run needs; nothing of an earlier run is touched."""

    def __init__(
        self,
        project: Project,
        held: HeldFolder,
        start: RunStart,
        stop: StopEvent,
        world: World,
        team: Team | None,
    ) -> None:
        """Read nothing yet.

        Args:
            project: the project directory.
            held: the run's folder.
            start: how the run begins.
            stop: set it to leave out what only saves time later.
            world: the processes that train together.
            team: the others of these; None where there are none.
        """
        self._project, self._held, self._start, self._stop = project, held, start, stop
        self._world, self._team = world, team
        self._config = start.identity.config
        self._folder = project.model_dir(self._config.model)

    def run(self) -> Generator[Event, None, Parts]:
        """Yield stages and notices; return what the run is made of.

        Raises:
            UserError: data or model cannot be used, the model does not fit, or settings do not go together.
        """
        refuse_dropout(self._config)
        init = yield from self._begin()
        data = yield from self._read_data()
        layout, made = yield from self._load_model(data, init)
        return self._parts(data, layout, made, init)

    def _begin(self) -> Generator[Event, None, AdapterFile | None]:
        """Tell how the run begins; return the adapter that a new one goes on from."""
        start = self._start
        for message in (*start.notices, *power_warnings(read_battery())):
            yield Notice("warning", message)
        init = None if start.checkpoint else read_init_adapter(self._project, start.identity)
        if init:
            yield Notice("info", init_words(init))
        return init

    def _read_data(self) -> Generator[Event, None, _Data]:
        yield Phase("tokenizing")
        tokenize = example_tokenizer(self._folder, self._config)
        train, valid = (
            _usable(path, tokenize, self._config)
            for path in (self._project.train_file, self._project.valid_file)
        )
        if self._team:
            self._team.loss.require_none()  # one that is refused says so at once
        yield from data_notices((train, valid), token_faults(self._folder, tokenize))
        lengths, is_new = [len(row.tokens) for row in train.examples], self._start.checkpoint is None
        if slower := refuse_if_slower(self._world, lengths, self._config, self._folder, is_new):
            yield Notice("warning", slower)
        if (rows := self._config.examples_per_step) < self._world.size:
            yield Notice("warning", _idle(rows, self._world.size))
        return _Data(tokenize, train, valid)

    def _load_model(
        self, data: _Data, init: AdapterFile | None
    ) -> Generator[Event, None, tuple[Layout, Assembled]]:
        yield Phase("loading")
        config, folder, divisor = self._config, self._folder, self._start.micro_batch_divisor
        train, valid = data.train.examples, data.valid.examples
        speeds, sharing_memory = self._world.speeds, self._world.sharing_memory
        layout = lay_out(train, valid, config, folder, divisor, speeds, sharing_memory)
        if layout.warning:
            yield Notice("warning", layout.warning)
        plan = _kept_plan(self._start)
        made = assemble(folder, config, layout.largest, layout.budget, plan, divisor, init)
        made.step.warm_up(layout.shapes, self._stop, config.lower_prompt_weight)
        for text in left_without(config.lora_targets, dict(made.model.named_modules())):
            yield Notice("warning", text)
        yield from _plan_notices(made, config, layout.largest)
        return layout, made

    def _parts(self, data: _Data, layout: Layout, made: Assembled, init: AdapterFile | None) -> Parts:
        identity = replace(self._start.identity, plan=made.plan)
        if init:
            identity = replace(identity, init_adapter=init.sha256)
        settings = template_settings(data.train.examples)
        return Parts(
            project=self._project,
            held=self._held,
            identity=identity,
            assembled=replace(made, adapter_config=_with_origin(made.adapter_config, identity, settings)),
            replier=Replier(made.base, data.tokenize, settings),
            train=data.train.examples,
            valid=micro_batches(data.valid.examples, layout.shapes),
            valid_examples=len(data.valid.examples),
            vocabulary=data.tokenize.vocabulary,
            shapes=layout.shapes,
            micro_batch_divisor=self._start.micro_batch_divisor,
            team=self._team,
        )


def _usable(path: Path, tokenize: ExampleTokenizer, config: TrainingConfig) -> LoadedFile:
    """Return a file of rows.

    Raises:
        UserError: it is missing or has no usable row.
    """
    file = load_file(path, tokenize, config)
    if not file.examples:
        raise unusable(file, path)
    return file


def _idle(rows: int, ranks: int) -> str:
    """Say that a step has fewer rows than there are processes."""
    return ngettext(
        "A step has {n} row for {ranks} processes, so that some compute nothing; raise batch_size or "
        "gradient_accumulation, or take fewer",
        "A step has {n} rows for {ranks} processes, so that some compute nothing; raise batch_size or "
        "gradient_accumulation, or take fewer",
        rows,
    ).format(n=rows, ranks=ranks)


def _kept_plan(start: RunStart) -> Plan | None:
    """Return the plan that the run was made with; memory that ran out asks for another one."""
    plan = start.checkpoint.identity.plan if start.checkpoint else None
    return plan if plan and plan.micro_batch_divisor == start.micro_batch_divisor else None


def _plan_notices(made: Assembled, config: TrainingConfig, largest: BatchShape) -> Iterator[Notice]:
    """Say how the model is computed where that is not the usual way."""
    if made.reason:
        yield Notice("info", made.reason)
    if count := made.plan.recomputed_layers:
        yield Notice("info", recomputing(count, made.adapter_config["num_layers"], config, largest))


def _with_origin(
    adapter_config: dict[str, Any], identity: RunIdentity, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of `adapter_config.json` with its base model and what a chat template is told."""
    base = {BASE_MODEL: identity.config.model, BASE_PRINT: identity.model}
    return adapter_config | base | ({TEMPLATE_SETTINGS: settings} if settings else {})
