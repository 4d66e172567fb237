"""`fit`: whether a configuration fits into memory, measured; or all three profiles."""

from dataclasses import asdict
from typing import Any

from engine.config import TrainingConfig
from engine.fit.measure import Fit
from engine.fit.measured import measure_and_remember
from engine.fit.sentences import nearest, outcome, refusal
from engine.i18n import _, number
from engine.profiles import NAMES, profile_config
from engine.project import Project
from engine.units import size
from tui.cli.choose_config import recommendation
from tui.console import model_taken, out, print_json, refuse, say, say_model, status_mark

from rich.table import Table
from rich.text import Text


def fit_one(project: Project, config: TrainingConfig, as_json: bool) -> int:
    """Measure one configuration, print what it took, and return 0 if it fits, else 1.

    Raises:
        UserError: it takes too long, or the run would be refused for another reason.
    """
    if not as_json:
        say_model(project, config.model)
    found = _measure(project, config, as_json)
    if as_json:
        print_json(_as_json(project, config, found) | {"model": model_taken(project, config.model)})
    elif found.fits:
        say(_("✓ It fits: {outcome}.").format(outcome=outcome(found)))
    else:
        refuse(refusal(project, config, found))
    return 0 if found.fits else 1


def fit_profiles(project: Project, base: TrainingConfig, as_json: bool) -> int:
    """Measure the three profiles on top of `base` and print the recommended one; 1 if none fits.

    Raises:
        UserError: it takes too long, or the runs would be refused for another reason.
    """
    found: dict[str, Fit] = {}
    if not as_json:
        say_model(project, base.model)
    for name in NAMES:
        if not as_json:
            say(name)
        found[name] = _measure(project, profile_config(name, base), as_json)
    best = recommendation(project, base)
    if as_json:
        measured = {name: _as_json(project, profile_config(name, base), found[name]) for name in NAMES}
        model = model_taken(project, base.model)
        print_json({"profiles": measured, "recommendation": asdict(best), "model": model})
    else:
        _show(found, best.name)
        say(f" ✓ {best.name}: {best.reason}")
    return 0 if any(one.fits for one in found.values()) else 1


def _measure(project: Project, config: TrainingConfig, as_json: bool) -> Fit:
    def on_progress(text: str) -> None:
        if not as_json:
            say(f"  {text}")

    return measure_and_remember(project, config, on_progress)


def _as_json(project: Project, config: TrainingConfig, found: Fit) -> dict[str, Any]:
    near = None if found.fits else nearest(project, config, found)
    values = asdict(found)
    values["room"] = values["memory_budget"]  # what scripts know it by
    return {**values, "nearest": near and near.model_dump(mode="json")}


def _show(found: dict[str, Fit], best: str) -> None:
    table = Table("", _("profile"), _("measured"), _("predicted"), _("micro-batch"), _("seconds"), box=None)
    for name, one in found.items():
        style = "bold" if name == best else ""
        table.add_row(status_mark("ok" if one.fits else "error"), Text(name, style), *_cells(one))
    out.print(table)


def _cells(one: Fit) -> tuple[str, str, str, str]:
    """Return measured and predicted peak, micro-batch and seconds; "?" where there is none."""
    measured = one.measured
    return (
        size(measured.peak) if measured else "?",
        size(measured.predicted) if measured and measured.predicted is not None else "?",
        f"{one.shape.rows} x {one.shape.length}",
        number(measured.seconds, ".2f") if measured else "?",
    )
