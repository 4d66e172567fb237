"""What `tune` says: what is tried and what that takes, and what came out."""

from dataclasses import asdict

from engine.config import TrainingConfig
from engine.hardware.probe import probe
from engine.i18n import _, number
from engine.project import Project
from engine.tuning.plan import Candidate
from engine.tuning.price import TuningPrice, price_tuning
from engine.tuning.result import TuningResult
from engine.tuning.sentences import LEVELS, held_out_words, loss_bars, outcome_words, price_words
from engine.tuning.state import Tuning
from engine.units import duration, nats
from tui.console import cell, out, print_json, say, status_mark, table

_BAR = 16
"""Columns of the longest bar of the chart of losses."""


def tell_price(
    project: Project, chosen: TrainingConfig, tuning: Tuning, goes_on: bool, as_json: bool
) -> None:
    """Say what is tried and what that takes at most; a speed that is not known is measured first.

    Args:
        project: with model and data.
        chosen: the settings that are chosen.
        tuning: what is tried.
        goes_on: whether it has begun before.
        as_json: print an object in place of a table.
    """
    price = _price(project, chosen, tuning.candidates, not goes_on, as_json)
    if as_json:
        print_json({
            "plan": [
                {"values": run.values, "folder": run.folder, "steps": each.steps, "seconds": each.seconds}
                for run, each in zip(tuning.runs, price.each, strict=True)
            ],
            "most_steps": price.steps,
            "most_seconds": price.seconds,
            "goes_on": goes_on,
        })  # fmt: skip
        return
    shown = table("", _("tried"), _("steps"), _("time"))
    for candidate, each in zip(tuning.candidates, price.each, strict=True):
        mark = _("chosen now") if candidate.is_chosen else ""
        time = "?" if each.seconds is None else duration(each.seconds)
        shown.add_row(mark, cell(candidate.label(chosen)), number(each.steps or 0), time)
    out.print(shown)
    say(price_words(price))
    if goes_on:
        say(_("What is trained already is not trained again."))


def _price(
    project: Project, chosen: TrainingConfig, tried: tuple[Candidate, ...], may_measure: bool, as_json: bool
) -> TuningPrice:
    from engine.dataset.inspect.check import check_data  # loads a tokenizer
    from engine.fit.measured import measure_and_remember

    hardware, data = probe(project, chosen.model), check_data(project, chosen)
    price = price_tuning(project, chosen, tried, hardware, data)
    if price.seconds is None and may_measure:
        measure_and_remember(project, chosen, lambda text: None if as_json else say(f"  {text}"))
        price = price_tuning(project, chosen, tried, hardware, data)
    return price


def show_result(result: TuningResult) -> None:
    """Print each candidate with its loss as number and bar, and the verdict."""
    shown = table("", _("tried"), _("steps"), _("time"), _("validation loss"), _("shorter is better"))
    for place, (each, bar) in enumerate(zip(result.tried, loss_bars(result, _BAR), strict=True)):
        shown.add_row(
            status_mark("ok") if place == result.best else "",
            cell(each.label if each.values else _("{label} (chosen now)").format(label=each.label)),
            f"{number(each.steps)}/{number(each.total_steps)}",
            duration(each.seconds),
            "–" if each.loss is None else nats(each.loss),
            bar,
        )
    out.print(shown)
    say(f" {status_mark(LEVELS[result.outcome])} {outcome_words(result)}")
    if held_out := held_out_words(result):
        say("   " + held_out)


def as_json(result: TuningResult) -> dict[str, object]:
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
