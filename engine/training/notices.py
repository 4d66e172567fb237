"""What a run tells of its data, its memory and its display besides its results."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from engine.config import TrainingConfig
from engine.dataset.batches.cut import BatchShape
from engine.dataset.inspect.load import LoadedFile
from engine.dataset.report import Fault
from engine.errors import UserError
from engine.hardware.power import display_warning
from engine.i18n import _, ngettext
from engine.lora_targets import FUSED, fused_instead
from engine.memory.suggest import as_options, in_halves
from engine.shell import for_file
from engine.training.events import Event, Notice, StepDone
from engine.units import sizes_apart

_LISTED_LINES = 5
_STEPS = 5
"""Steps that are timed; the first ones compile."""
_WORTH_HALVING = 1024
"""Tokens of a micro-batch: with fewer a pass costs more than recomputing saves. On an H200 micro-batches of
8, 4 and 2 rows of 1,024 tokens made 11,866, 13,482 and 13,382 tokens a second within 24 GB (7B)."""
_CHANCE = 0.75
"""Share of the loss of guessing that no model which knows its tokens comes near.

With 49,152 tokens that is 8.1: SmolLM2 has 2.4 on its own tokens, 8.9 on those of another order.
"""


def recomputing(count: int, layers: int, config: TrainingConfig, shape: BatchShape) -> str:
    """Return what is said of layers whose activations are computed again.

    Args:
        count: of these layers.
        layers: that have an adapter.
        config: of the run.
        shape: its largest micro-batch.
    """
    text = ngettext(
        "Activations of {count} of {layers} layer are recomputed to save memory (gradient checkpointing)",
        "Activations of {count} of {layers} layers are recomputed to save memory (gradient checkpointing)",
        layers,
    )
    text = text.format(count=count, layers=layers)
    smaller = in_halves(config) if config.gradient_checkpointing == "auto" else None
    if smaller is None or shape.rows < 2 or shape.tokens < _WORTH_HALVING:
        return text
    hint = _("; the same steps with smaller micro-batches keep less and may be faster: {options}")
    return text + hint.format(options=as_options(config, smaller))


class LimitWarning:
    """Says once where MLX took more than `max_memory_gb` allows."""

    def __init__(self, limit_gb: float) -> None:
        """Say nothing yet.

        Args:
            limit_gb: what MLX may take, 1e9 bytes; 0 is no limit.
        """
        self._limit_gb = limit_gb or math.inf

    def at(self, peak_gb: float) -> Iterator[Notice]:
        """Yield what is said; `peak_gb` is the most that MLX has taken, 1e9 bytes."""
        if peak_gb <= self._limit_gb:
            return
        peak, limit = sizes_apart(round(peak_gb * 1e9), round(self._limit_gb * 1e9))
        self._limit_gb = math.inf
        text = _(
            "MLX has taken {peak}, and max_memory_gb allows {limit}; a run with a smaller batch_size or "
            "max_seq_length takes less"
        )
        yield Notice("warning", text.format(peak=peak, limit=limit))


def left_without(targets: Sequence[str], paths: Iterable[str]) -> Iterator[str]:
    """Say which projections get no adapter because the model does not have them, or has them fused.

    Args:
        targets: projections that are to get one.
        paths: of the model's modules.
    """
    there = {path.rpartition(".")[2] for path in paths}
    fused = fused_instead(targets, there)
    parts = [part for name in fused for part in FUSED[name] if part in targets]
    if fused:
        yield _("This model has {fused} in the place of {parts}: to train these too, set {setting}").format(
            fused=", ".join(fused),
            parts=", ".join(parts),
            setting=f"lora_targets={','.join([*fused, *(name for name in targets if name not in parts)])}",
        )
    if missing := [name for name in targets if name not in there and name not in parts]:
        yield _("This model has no {names}: lora_targets names them for nothing").format(
            names=", ".join(missing)
        )


def unusable(file: LoadedFile, path: Path) -> UserError:
    """Return the refusal of a file without a usable row."""
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
        for_file(first.fix, path),
    )


def data_notices(files: Sequence[LoadedFile], faults: Iterable[Fault]) -> Iterator[Notice]:
    """Yield what is to be known of the rows before they are trained on."""
    yield from (Notice("warning", text) for file in files if (text := _left_out(file)))
    remarks = [fault for file in files for fault in file.report.faults if fault.line == 0]
    for fault in (*faults, *remarks):
        yield Notice("info" if fault.severity == "note" else "warning", f"{fault.file}: {fault.message}")


def _left_out(file: LoadedFile) -> str:
    """Say which rows of a file are not used, or nothing."""
    lines = [fault.line for fault in file.report.faults if fault.leaves_out]
    if not lines:
        return ""
    shown = ", ".join(str(line) for line in lines[:_LISTED_LINES]) + (
        ", …" if len(lines) > _LISTED_LINES else ""
    )
    return ngettext(
        "{count} row of {file} is left out (line {lines}); see: mqlora-tui validate",
        "{count} rows of {file} are left out (lines {lines}); see: mqlora-tui validate",
        len(lines),
    ).format(count=len(lines), file=file.report.file, lines=shown)


def warn_of_the_display(events: Iterator[Event]) -> Iterator[Event]:
    """Pass on `events`; add a warning after a few steps if macOS may end such long ones."""
    seconds: list[float] = []
    for event in events:
        yield event
        if isinstance(event, StepDone) and len(seconds) < _STEPS:
            seconds.append(event.metrics.tokens / max(event.metrics.tokens_per_second, 1e-9))
            if len(seconds) == _STEPS and (text := display_warning(median(seconds))):
                yield Notice("warning", text)


def chance_warning(loss: float, vocabulary: int | None) -> str:
    """Say that a model hardly predicts better than one that takes all tokens for equally likely, if so.

    Args:
        loss: of the base model, mean over the tokens, nats.
        vocabulary: how many tokens there are; None where that is not known.
    """
    if vocabulary is None or loss <= _CHANCE * math.log(vocabulary):
        return ""
    return _("The base model predicts this data hardly better than chance: is its tokenizer the right one?")
