"""What is said of a tuning, before and after."""

from engine import units
from engine.evaluation.sentences import plus_minus
from engine.i18n import _
from engine.tuning.price import TuningPrice
from engine.tuning.result import Outcome, TuningResult
from engine.units import duration, nats

LEVELS: dict[Outcome, str] = {"better": "ok", "chance": "note", "chosen": "ok"}
"""How each outcome is marked."""


def price_words(price: TuningPrice) -> str:
    """Say what is trained, and what that takes at most."""
    text = _(
        "All make a third of their steps; the better half, and the chosen settings, make the rest: "
        "{steps} at most, {time}."
    )
    time = _("how long that takes is not known yet")
    if price.seconds is not None:
        time = _("about {time}").format(time=duration(price.seconds))
    return text.format(steps=units.steps(price.steps), time=time)


def run_words(place: int, count: int, label: str, share: float) -> str:
    """Say which candidate is trained now, and how far.

    Args:
        place: of the candidate, from 0.
        count: candidates in all.
        label: its values in words.
        share: of its steps that it is trained to.
    """
    text = _("{n} of {count}: {label}, to a third of its steps")
    if share == 1:
        text = _("{n} of {count}: {label}, to its end")
    return text.format(n=place + 1, count=count, label=label)


def outcome_words(result: TuningResult) -> str:
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


def held_out_words(result: TuningResult) -> str:
    """Say what rows that no run has read tell of the best; empty without such rows."""
    if (change := result.held_out) is None:
        return result.untold
    is_better = change.loss.value < 0
    text = _("on {rows} held out it is worse, by {by} nats a token")
    if is_better:
        text = _("on {rows} held out it beats them by {by} nats a token")
    by = plus_minus(change.opposite if is_better else change).removeprefix("+")
    text = text.format(rows=units.rows(change.rows), by=by)
    return text if change.is_certain else _("{text}: that may be chance").format(text=text)


def loss_bars(result: TuningResult, longest: int) -> tuple[str, ...]:
    """Return each loss as a bar: one column for the lowest, `longest` for the highest; empty without one."""
    known = [each.loss for each in result.tried if each.loss is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    columns = (longest - 1) / (high - low) if high > low else 0.0
    return tuple(
        "" if each.loss is None else "█" * round(1 + columns * (each.loss - low)) for each in result.tried
    )
