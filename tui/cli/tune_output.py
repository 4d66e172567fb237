"""What `tune` says: what is tried and what that takes, and what came out."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from engine import units
from engine.config import TrainingConfig
from engine.fit.price import Price, price_config
from engine.hardware.probe import probe
from engine.i18n import _, number
from engine.model_folder.dimensions import ModelDimensions
from engine.project import Project
from engine.tuning.plan import Candidate, steps_in_all
from engine.tuning.state import Tuning
from engine.units import duration, nats, signed
from tui.console import cell, out, print_json, say, status_mark, table

if TYPE_CHECKING:  # it imports MLX
    from engine.tuning.result import TuningResult

_BAR = 16
"""Columns of the longest bar of the chart of losses."""


def tell_price(
    project: Project, chosen: TrainingConfig, tuning: Tuning, goes_on: bool, as_json: bool
) -> None:
    """Say what is tried and what that takes at most.

    Args:
        project: with model and data.
        chosen: the settings that are chosen.
        tuning: what is tried.
        goes_on: whether it has begun before.
        as_json: print an object in place of a table.
    """
    prices = _prices(project, chosen, tuning.candidates)
    steps = [price.steps or 0 for price in prices]
    most = sum(steps_in_all(steps))
    seconds = [price.seconds for price in prices]
    known = [each for each in seconds if each is not None]
    whole = sum(known) * most / sum(steps) if len(known) == len(steps) and all(steps) else None
    if as_json:
        print_json({
            "plan": [
                {"values": run.values, "folder": run.folder, "steps": price.steps, "seconds": price.seconds}
                for run, price in zip(tuning.runs, prices, strict=True)
            ],
            "most_steps": most,
            "most_seconds": whole,
            "goes_on": goes_on,
        })  # fmt: skip
        return
    shown = table("", _("tried"), _("steps"), _("time"))
    for candidate, price in zip(tuning.candidates, prices, strict=True):
        mark = _("chosen now") if candidate.is_chosen else ""
        time = "?" if price.seconds is None else duration(price.seconds)
        shown.add_row(mark, cell(candidate.label(chosen)), number(price.steps or 0), time)
    out.print(shown)
    text = _(
        "All make a third of their steps; the better half, and the chosen settings, make the rest: "
        "{steps} at most, {time}."
    )
    time = _("how long that takes is not known yet") if whole is None else _about(whole)
    say(text.format(steps=units.steps(most), time=time))
    if goes_on:
        say(_("What is trained already is not trained again."))


def _about(seconds: float) -> str:
    return _("about {time}").format(time=duration(seconds))


def _prices(project: Project, chosen: TrainingConfig, tried: tuple[Candidate, ...]) -> list[Price]:
    from engine.dataset.inspect.check import check_data  # loads a tokenizer

    hardware, data = probe(project, chosen.model), check_data(project, chosen)
    model = ModelDimensions.read(project.model_dir(chosen.model))
    return [price_config(project, each.config(chosen), hardware, model, data) for each in tried]


def show_result(result: "TuningResult") -> None:
    """Print each candidate with its loss as number and bar, and the verdict."""
    shown = table("", _("tried"), _("steps"), _("time"), _("validation loss"), "")
    finite = [each.loss for each in result.tried if each.loss is not None]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    for place, each in enumerate(result.tried):
        length = 1 + (_BAR - 1) * ((each.loss or 0.0) - low) / (high - low) if high > low else 1
        shown.add_row(
            status_mark("ok") if place == result.best else "",
            cell(each.label),
            f"{number(each.steps)}/{number(each.total_steps)}",
            duration(each.seconds),
            "–" if each.loss is None else nats(each.loss),
            "" if each.loss is None else "█" * round(length),
        )
    out.print(shown)
    say(f" {status_mark(_LEVELS[result.outcome])} {outcome_words(result)}")
    if result.held_out:
        change = result.held_out
        half = change.half_width
        say("   " + _("on {rows} held out: {change} nats a token against the chosen settings").format(
            rows=units.rows(change.rows),
            change=signed(change.loss.value, 2) + ("" if half is None else f" ± {number(half, '.2f')}"),
        ))  # fmt: skip


_LEVELS = {"better": "ok", "chance": "note", "chosen": "ok"}


def outcome_words(result: "TuningResult") -> str:
    """Say which settings are best, and by how much."""
    best, gain = result.tried[result.best], result.gain
    if result.outcome == "chosen":
        return _("nothing that was tried is better than the chosen settings")
    if gain is None:
        return _("{label} is best, by how much cannot be told").format(label=best.label)
    by = f"{nats(gain.mean)} ± {nats(gain.margin)}"
    if result.outcome == "chance":
        text = _("{label} beats the chosen settings by {by} nats a token: that may be chance")
    else:
        text = _("{label} beats the chosen settings by {by} nats a token")
    return text.format(label=best.label, by=by)


def as_json(result: "TuningResult") -> dict[str, object]:
    """Return what was found as plain values."""
    values = asdict(result)
    held_out = result.held_out
    if held_out:
        loss = held_out.loss
        values["held_out"] = {
            "loss": {"value": loss.value, "low": loss.low, "high": loss.high},
            "better": held_out.better,
            "rows": held_out.rows,
        }
    return values
