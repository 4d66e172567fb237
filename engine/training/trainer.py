"""The trainer: everything between a configuration and the events of its run."""

from collections.abc import Generator, Iterator
from threading import Event as StopEvent

from engine.backend import describe_device, is_cpu, mx
from engine.config import TrainingConfig
from engine.dataset.batches import micro_batches, padded_lengths
from engine.dataset.loading import LoadedFile, load_file
from engine.dataset.tokenizing import ExampleTokenizer, load_tokenizer
from engine.errors import UserError
from engine.hardware.keep_awake import keep_awake
from engine.hardware.power import night_warnings, read_battery
from engine.i18n import _
from engine.model.adapter import adapter_weights, attach_adapter
from engine.model.checkpointing import checkpoint_layers, should_checkpoint
from engine.model.loading import load_base
from engine.project import Project
from engine.training.claim import claim_folder
from engine.training.events import Event, Mode, Notice, Phase, Started
from engine.training.lock import run_lock
from engine.training.loop import TrainingLoop
from engine.training.loss import make_loss
from engine.training.night import warn_of_the_display
from engine.training.opening import Opening, open_run
from engine.training.parts import Parts, restore
from engine.training.progress import Progress
from engine.training.step import make_optimizer

# Rows of a micro-batch on a CPU. Element-wise operations run on one core
# there, so larger micro-batches cost more per token.
_CPU_MAX_ROWS = 4
_LISTED_LINES = 5


class Trainer:
    """One sitting of a run. Make it and iterate it on one thread: MLX's streams belong to it."""

    def __init__(
        self,
        project: Project,
        config: TrainingConfig | None,
        stop: StopEvent,
        mode: Mode = "auto",
        halve_micro_batch: bool = False,
    ) -> None:
        """Prepare nothing yet.

        Args:
            project: the project directory.
            config: the wanted configuration; None takes that of the run to resume.
            stop: set it to pause the run with a checkpoint after the current step.
            mode: see `engine.training.events.Mode`.
            halve_micro_batch: go on with micro-batches of half the size, after memory ran out:
                the same optimizer steps, equal to rounding (dropout draws other units).
        """
        self._project = project
        self._config = config
        self._stop = stop
        self._mode = mode
        self._halve_micro_batch = halve_micro_batch

    def run(self) -> Iterator[Event]:
        """Yield the run's events until it pauses or ends.

        Nothing of an earlier run is touched before data and model are known to be usable.

        Raises:
            UserError: the run is refused, or cannot go on.
        """
        with run_lock(self._project), keep_awake():
            opening = open_run(self._project, self._config, self._mode, self._halve_micro_batch)
            parts = yield from self._prepare(opening)
            progress = opening.checkpoint.progress if opening.checkpoint else Progress()
            if opening.checkpoint:
                restore(opening.checkpoint, parts)
            for message in claim_folder(parts, is_fresh=opening.checkpoint is None):
                yield Notice("warning", message)
            yield _started(parts, progress)
            folder = opening.checkpoint.folder if opening.checkpoint else None
            events = TrainingLoop(parts, progress, self._stop, folder).run()
            yield from events if is_cpu() else warn_of_the_display(events)

    def _prepare(self, opening: Opening) -> Generator[Event, None, Parts]:
        for message in (*opening.notices, *night_warnings(read_battery())):
            yield Notice("warning", message)
        config, project = opening.identity.config, self._project
        yield Phase("tokenizing")
        train, valid = self._load_data(config)
        yield from (Notice("warning", text) for file in (train, valid) if (text := _left_out(file)))
        yield Phase("loading")
        base = load_base(project.model_dir(config.model))
        mx.reset_peak_memory()
        adapter_config = attach_adapter(base.model, config)
        longest = max(len(example.tokens) for example in (*train.examples, *valid.examples))
        lengths, divisor = padded_lengths(longest), opening.micro_batch_divisor
        max_tokens = max(1, config.batch_size * min(config.max_seq_length, lengths[-1]) // divisor)
        max_rows = max(1, _CPU_MAX_ROWS // divisor) if is_cpu() else max_tokens
        # A row alone cannot be halved: what remains is to keep less of it.
        one_row_is_too_much = divisor > 1 and max_tokens < lengths[-1]
        if should_checkpoint(base.folder, config, longest, one_row_is_too_much):
            checkpoint_layers(base.model)
            yield Notice("info", _("Activations are recomputed to save memory (gradient checkpointing)"))
        return Parts(
            project=project,
            identity=opening.identity,
            model=base.model,
            adapter_config=adapter_config,
            optimizer=make_optimizer(base.model, config),
            loss=make_loss(base.model),
            train=train.examples,
            valid=micro_batches(valid.examples, lengths, max_tokens, max_rows),
            lengths=lengths,
            max_tokens=max_tokens,
            max_rows=max_rows,
            micro_batch_divisor=divisor,
        )

    def _load_data(self, config: TrainingConfig) -> tuple[LoadedFile, LoadedFile]:
        """Read both files.

        Raises:
            UserError: one of them is missing or has no usable row.
        """
        tokenize = ExampleTokenizer(load_tokenizer(self._project.model_dir(config.model)), config)
        loaded = []
        for path in (self._project.train_file, self._project.valid_file):
            file = load_file(path, tokenize, config)
            if not file.examples:
                raise _unusable(file)
            loaded.append(file)
        return loaded[0], loaded[1]


def _unusable(file: LoadedFile) -> UserError:
    report = file.report
    if not report.faults:
        return UserError(
            _("{file} is empty").format(file=report.file), _("write one JSON object a line into it")
        )
    first = report.faults[0]
    return UserError(
        _("{file} has no usable row; line {line}: {message}").format(
            file=report.file, line=first.line, message=first.message
        ),
        first.fix,
    )


def _left_out(file: LoadedFile) -> str:
    """Say which rows of a file are not used, or nothing."""
    lines = [fault.line for fault in file.report.faults if fault.severity == "error"]
    if not lines:
        return ""
    shown = ", ".join(str(line) for line in lines[:_LISTED_LINES]) + (
        ", …" if len(lines) > _LISTED_LINES else ""
    )
    return _("{count} rows of {file} are left out (lines {lines}); see: mqlora-tui validate").format(
        count=len(lines), file=file.report.file, lines=shown
    )


def _started(parts: Parts, progress: Progress) -> Started:
    return Started(
        step=progress.step,
        total_steps=parts.total_steps,
        steps_per_epoch=parts.steps_per_epoch,
        num_epochs=parts.config.num_epochs,
        train_examples=len(parts.train),
        valid_examples=sum(len(batch.tokens) for batch in parts.valid),
        trainable_parameters=sum(array.size for array in adapter_weights(parts.model).values()),
        model=parts.config.model,
        device=describe_device(),
    )
