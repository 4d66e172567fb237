"""Charts of a run's own figures: losses, epochs, learning rate, speed and memory."""

from functools import partial

from engine.analysis import epoch_panels, panels
from engine.analysis.run_folder import run_config
from engine.analysis.validations import validations_of
from engine.i18n import _
from engine.project import Project
from engine.report.blocks import Chart
from engine.report.svg import svg_chart
from engine.training.history import load_history
from engine.training.state import known_state

import numpy as np

_FEWEST = 2


def run_charts(project: Project) -> tuple[Chart, ...]:
    """Return the charts of a run; none where fewer than two steps have a finite loss."""
    history, state = load_history(project), known_state(project.state_file)
    if int(np.isfinite(history.loss).sum()) < _FEWEST:
        return ()
    checked = validations_of(history, run_config(project), state)
    initial = state.initial_val_loss if state else None
    losses = partial(panels.loss_curves, history=history, checked=checked, initial_val_loss=initial)
    return (
        svg_chart("loss", _("Training and validation loss from step to step"), losses),
        svg_chart(
            "epochs",
            _("Mean training loss and last validation of each epoch"),
            partial(epoch_panels.epoch_means, history=history, checked=checked),
        ),
        svg_chart(
            "learning_rate",
            _("Learning rate from step to step"),
            partial(panels.learning_rate, history=history),
        ),
        svg_chart(
            "speed",
            _("Tokens per second and peak memory from step to step"),
            partial(panels.speed_and_memory, history=history),
        ),
    )
