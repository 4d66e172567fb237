"""What is to be expected of a configuration before it is trained: rules of thumb, each with its reason."""

import math

from engine import units
from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.estimate import planned_steps
from engine.i18n import _, number
from engine.optimizer_facts import MOVES
from engine.training.schedule import learning_rate
from engine.units import rate

ENOUGH_REACH = 0.01
"""Reach (see `reach`) below which a run is expected to underfit. 60 steps from 2e-4 linearly down to zero
with an alpha of twice the rank, a first trial of many a tutorial, have 0.012."""
_SAMPLES = 500
"""Steps whose rates are added up; of longer runs these stand for those between them."""
_SHORT_ANSWERS = 0.25
"""Tokens of answers for each of a prompt below which answers count as short."""


def expectations(config: TrainingConfig, data: DataReport | None) -> tuple[str, ...]:
    """Return what is to be expected of a run, in sentences with their reasons; none where nothing is.

    Args:
        config: of the run.
        data: what is known of the rows; None where nothing is.
    """
    if data is None or not data.train.examples:
        return ()
    found = (_underfitting(config, data.train.examples), _short_answers(config, data), _prompts(config))
    return tuple(filter(None, found))


def reach(config: TrainingConfig, steps: int) -> float:
    """Return how far a run can move its adapter: the sum of its learning rates, times alpha / rank.

    Adam moves a weight by the learning rate a step at most, roughly (Kingma and Ba, 2015, section 2.1),
    others by `MOVES` times it. B begins at zero, so the sum bounds its weights; alpha / rank is what the
    model's weights feel of that.
    """
    stride = max(1, steps // _SAMPLES)
    rates = stride * sum(learning_rate(step, steps, config) for step in range(1, steps + 1, stride))
    return rates * MOVES[config.optimizer] * config.lora_scale


def _underfitting(config: TrainingConfig, examples: int) -> str:
    steps = planned_steps(config, examples)
    share = reach(config, steps) / ENOUGH_REACH
    if share >= 1:
        return ""
    text = _(
        "Expect underfitting: {steps} at up to {rate} are {share} % of what usually has an effect; {fix}"
    )
    return text.format(
        steps=units.steps(steps),
        rate=rate(config.learning_rate),
        share=number(max(1, int(100 * share))),
        fix=_more(config, examples, share),
    )


def _more(config: TrainingConfig, examples: int, share: float) -> str:
    """Return what makes a run long enough, of which this one has a `share`."""
    if config.max_steps and planned_steps(config, examples) == config.max_steps:
        return _("raise max_steps or learning_rate")
    least = math.ceil(config.num_epochs / share)  # nearly so: a warm-up is rounded up to whole steps
    for epochs in range(least, min(least + 10, 1000)):
        longer = config.model_copy(update={"num_epochs": epochs})
        if reach(longer, planned_steps(longer, examples)) >= ENOUGH_REACH:
            return _("set num_epochs={epochs} or raise learning_rate").format(epochs=epochs)
    return _("raise learning_rate")


def _short_answers(config: TrainingConfig, data: DataReport) -> str:
    tokens = data.train.tokens
    if config.prompt_loss_weight or tokens is None or not tokens.total or not tokens.trained:
        return ""
    share = tokens.trained / max(1, tokens.total - tokens.trained)
    if share >= _SHORT_ANSWERS:
        return ""
    text = _(
        "Answers are short, {share} of the length of prompts: a prompt_loss_weight of 0.01 to 0.1 "
        "was found to help then (Huerta-Enochian and Ko, 2024)"
    )
    return text.format(share=number(share, ".2g"))


def _prompts(config: TrainingConfig) -> str:
    if config.prompt_loss_weight < 1:
        return ""
    return _(
        "With prompt_loss_weight=1 validation counts prompts, too: "
        "its loss does not compare with that of a lower weight"
    )
