"""Before a tuning: what is tried, and whether that has begun before."""

from dataclasses import dataclass

from engine.analysis.run_folder import model_width
from engine.config import TrainingConfig
from engine.errors import UserError
from engine.i18n import _
from engine.learning_rate import usual_rate
from engine.optimizer_facts import RATE_FACTORS
from engine.project import Project
from engine.tuning.plan import Candidate, candidates
from engine.tuning.state import Tuning, key_of, planned

_MANY_STEPS = 1000
"""For the rule of thumb, which asks for a higher rate below 100."""


@dataclass(frozen=True)
class Prepared:
    """A tuning that is to begin, or to go on."""

    tuning: Tuning
    goes_on: bool
    """Whether it has begun before."""
    replaces: bool
    """Whether it takes the place of one of other settings, another model or other data."""


@dataclass(frozen=True)
class Values:
    """What is to be tried; of that which is empty nothing but what is chosen."""

    rates: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()
    epochs: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        """Whether any are named; else those around the rule of thumb are tried."""
        return bool(self.rates or self.ranks or self.epochs)


def prepare(
    project: Project,
    chosen: TrainingConfig,
    values: Values,
    before: Tuning | None,
    may_replace: bool = False,
) -> Prepared:
    """Return what is tried; nothing is written.

    Args:
        project: with model and data.
        chosen: the settings that are chosen, the base model by its name.
        values: what is to be tried.
        before: what was tried the last time, which is gone on with; None begins anew.
        may_replace: begin anew where that was of other settings, another model or other data.

    Raises:
        UserError: there are no validation rows, or what has begun is of other settings, model or data.
        WrongUsage: there is nothing to try, too much, or something else than has begun.
    """
    _require_validation_rows(project)
    key = key_of(project, chosen)
    replaces = before is not None and before.key != key
    if replaces and not may_replace:
        raise UserError(
            _("The tuning that is there was of other settings, another model or other data"),
            _("begin anew with: mqlora-tui tune --restart"),
        )
    begun = None if replaces else before
    if begun and not values:
        return Prepared(begun, True, False)
    tried = candidates(chosen, values.rates, values.ranks, values.epochs, _usual(project, chosen))
    if begun:
        _require_same(begun, tried)
        return Prepared(begun, True, False)
    return Prepared(planned(project, key, tried, chosen), False, replaces)


def _require_validation_rows(project: Project) -> None:
    if not project.valid_file.exists():
        raise UserError(
            _("Settings are compared on validation rows, and there is no {path}").format(
                path=project.valid_file
            ),
            _("put rows there that are not trained on"),
        )


def _require_same(begun: Tuning, tried: tuple[Candidate, ...]) -> None:
    if begun.candidates != tried:
        raise UserError(
            _("The tuning that is there tries other values"),
            _("go on with it by leaving them out, or begin anew with --restart"),
        )


def _usual(project: Project, chosen: TrainingConfig) -> float | None:
    """Return the learning rate by rule of thumb, for the chosen optimizer."""
    hidden, family = model_width(project.model_dir(chosen.model))
    usual = usual_rate(hidden, _MANY_STEPS, family) if hidden else None
    return None if usual is None else usual * RATE_FACTORS[chosen.optimizer]
