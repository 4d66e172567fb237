"""What a configuration means, in a few lines."""

from typing import ClassVar

from engine import units
from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.estimate import validation_interval
from engine.fit.expectations import expectations
from engine.i18n import _, ngettext, number
from engine.profiles import PROFILES
from engine.sanitize import one_line
from engine.setting_words import help_text, value_word
from engine.symbols import spark
from engine.training.schedule import learning_rate
from engine.units import rate
from tui.app.theme import ACCENT, ATTENTION, MUTED

from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

SPARK_WIDTH = 16


class Meaning(VerticalScroll, inherit_bindings=False):
    """A text that scrolls up and down, and leaves the other arrow keys to its place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", show=False),
        Binding("down", "scroll_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
    ]


def summary(config: TrainingConfig, data: DataReport | None, steps: int | None) -> Table:
    """Return one row per thing that matters: name, value, what follows from it."""
    table = Table.grid(expand=True, padding=(0, 2, 0, 0))
    table.add_column(min_width=15, style=MUTED, no_wrap=True)
    table.add_column(justify="right", width=7, no_wrap=True)
    table.add_column(ratio=1)
    table.add_row(_("batch"), str(config.batch_size), _batch(config))
    table.add_row(_("sequence"), number(config.max_seq_length), _sequence(config, data))
    table.add_row(_("learning rate"), rate(config.learning_rate), _rate(config))
    table.add_row(_("steps"), "–" if steps is None else number(steps), _steps(config, data, steps))
    table.add_row(_("adapter rank"), str(config.lora_rank), _adapter(config))
    if config.fine_tune_type != "lora":
        table.add_row(_("kind"), "", _("DoRA: the length of each row is trained, too"))
    if config.optimizer != "adamw":
        table.add_row(_("optimizer"), "", config.optimizer)
    if config.prompt_loss_weight:
        weight = number(config.prompt_loss_weight, "g")
        table.add_row(_("prompts"), weight, _("of the weight that a token of an answer has in the loss"))
    if config.init_adapter:
        table.add_row(_("goes on from"), "", Text(one_line(config.init_adapter, 200)))
    for text in expectations(config, data):
        table.add_row(_("expect"), "", Text(text, ATTENTION))
    return table


def explained() -> Content:
    """Return the help texts of the values that the profiles set, for wide terminals."""
    parts = [
        Content.assemble((field, "bold"), "\n", (help_text(field), "$muted"))
        for field in (*PROFILES["BALANCED"], "lora_rank", "lora_alpha")
    ]
    return Content("\n").join(parts)


def _batch(config: TrainingConfig) -> str:
    return _("× {accumulation} accumulated = {examples} a step").format(
        accumulation=config.gradient_accumulation, examples=units.examples(config.examples_per_step)
    )


def _sequence(config: TrainingConfig, data: DataReport | None) -> str:
    if data is None or data.train.tokens is None:
        is_known = data is not None and data.stage == "counted"
        return _("tokens; no example is known") if is_known else _("tokens; the examples are being counted")
    cut = len(data.train.tokens.truncated_lines)
    end = _("nothing is cut") if not cut else ngettext("{n} is cut", "{n} are cut", cut).format(n=number(cut))
    return _("tokens; the longest example has {n}: {end}").format(
        n=number(data.train.tokens.longest), end=end
    )


def _rate(config: TrainingConfig) -> Text:
    words = _("{warmup:g} % warm-up, then {schedule}").format(
        warmup=100 * config.warmup_ratio, schedule=value_word(config.lr_schedule)
    )
    if config.min_learning_rate_ratio and config.lr_schedule != "constant":
        words = _("{course} to {share:g} %").format(course=words, share=100 * config.min_learning_rate_ratio)
    return Text.assemble((schedule_spark(config), ACCENT), "  ", words)


def schedule_spark(config: TrainingConfig, width: int = SPARK_WIDTH) -> str:
    """Draw the course of the learning rate over a run."""
    steps = [learning_rate(index * 10 + 5, width * 10, config) for index in range(width)]
    return spark(steps)


def _steps(config: TrainingConfig, data: DataReport | None, steps: int | None) -> str:
    validation, checkpoint = _validation(config, data), _rhythm(config.save_every)
    text = (
        _("validation and checkpoint {when}").format(when=validation)
        if validation == checkpoint
        else _("validation {when}, checkpoint {then}").format(when=validation, then=checkpoint)
    )
    epochs = ngettext("in {n} epoch", "in {n} epochs", config.num_epochs).format(n=config.num_epochs)
    if config.max_steps and steps == config.max_steps:
        epochs = _("where max_steps ends the run; {epochs} at most").format(
            epochs=units.epochs(config.num_epochs)
        )
    elif config.max_steps:
        epochs = _("{epochs}, at most {steps}").format(epochs=epochs, steps=units.steps(config.max_steps))
    return f"{epochs}; {text}"


def _validation(config: TrainingConfig, data: DataReport | None) -> str:
    if config.eval_every != "auto":
        return _rhythm(config.eval_every)
    if data is None or not data.train.examples:
        return value_word("auto")
    return _rhythm(validation_interval(config, data.train.examples, data.valid.examples))


def _rhythm(every: int) -> str:
    return _("every {n}").format(n=every) if every else _("at each epoch's end")


def _adapter(config: TrainingConfig) -> str:
    layers = (
        _("every layer")
        if config.lora_layers == -1
        else ngettext("the last layer", "the last {n} layers", config.lora_layers).format(
            n=config.lora_layers
        )
    )
    targets = len(config.lora_targets)
    return ngettext(
        "alpha {alpha:g} on {n} projection of {layers}",
        "alpha {alpha:g} on {n} projections of {layers}",
        targets,
    ).format(alpha=config.lora_alpha, n=targets, layers=layers)
