"""What a measurement means, in sentences."""

from engine import units
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.fit.measure import Fit
from engine.i18n import _
from engine.memory.suggest import advice, nearest_predicted
from engine.project import Project
from engine.units import size


def outcome(fit: Fit) -> str:
    """Say what a measurement that came to its end has found, without a full stop."""
    if fit.measured is None:
        return fit.reason
    measured = fit.measured
    text = _("{peak} measured, {predicted} predicted, {free} free; {rows} x {tokens} in {seconds:.2f} s")
    return text.format(
        peak=size(measured.peak),
        predicted=_("none") if measured.predicted is None else size(measured.predicted),
        free=size(fit.memory_budget.free),
        rows=fit.shape.rows,
        tokens=units.tokens(fit.shape.length),
        seconds=measured.seconds,
    )


def nearest(project: Project, config: TrainingConfig, fit: Fit) -> TrainingConfig | None:
    """Return the nearest configuration that, as predicted, fits where `config` was found not to."""
    return nearest_predicted(project.model_dir(config.model), config, fit.memory_budget, fit.shape)


def refusal(project: Project, config: TrainingConfig, fit: Fit) -> UserError:
    """Return what to tell the user where `config` was found not to fit."""
    problem = _("This configuration does not fit: {reason}").format(reason=fit.reason)
    return UserError(problem, advice(config, nearest(project, config, fit), fit.memory_budget))
