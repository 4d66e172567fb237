"""What a configuration that is being typed comes to: step, run, memory, learning rate, changes."""

from engine import units
from engine.config import TrainingConfig
from engine.dataset.report import DataReport
from engine.estimate import planned_steps
from engine.fit.expectations import expectations
from engine.fit.price import Price, advised_rate, nearest_profile
from engine.i18n import _
from engine.profiles import plain_profile
from engine.training.selected_config import changes
from engine.units import duration, rate, size
from tui.app.screens.profile.config_summary import schedule_spark

from textual.content import Content
from textual.widgets import Static

_GAP = " · "


class Outlook(Static):
    """Four lines below the form, and what is to be expected; without a price memory and time are awaited."""

    def show(self, config: TrainingConfig, data: DataReport | None, price: Price | None) -> None:
        """Draw what follows from a valid configuration.

        Args:
            config: as typed.
            data: what is known of the rows.
            price: of that configuration; None while it is found out.
        """
        lines = [_run(config, data, price), _memory(config, price), _rate(config), _changes(config)]
        lines += [_expected(text) for text in expectations(config, data)[:1]]
        self.update(Content("\n").join(lines))

    def show_wrong(self) -> None:
        """Say that a value is wrong, so that nothing follows."""
        self.update(
            Content.styled(_("Some value is wrong: what follows is shown when it is right."), "$muted")
        )


def own_values(used: TrainingConfig, shown: TrainingConfig) -> tuple[str, str, str]:
    """Return the row about values of one's own: what they are, or what a profile would make of them.

    Args:
        used: the configuration in use, which is none of the profiles.
        shown: the same, or a profile.
    """
    if shown == used:
        nearest = nearest_profile(used)
        return nearest, "", ", ".join(changes(plain_profile(nearest, used), used))
    text = _("{changes}; s on the card Custom keeps them first")
    return _("replaces yours"), "", text.format(changes=", ".join(changes(used, shown)))


def _run(config: TrainingConfig, data: DataReport | None, price: Price | None) -> Content:
    parts = [
        _("{batch} × {accumulation} = {examples} a step").format(
            batch=config.batch_size,
            accumulation=config.gradient_accumulation,
            examples=units.examples(config.examples_per_step),
        )
    ]
    if data and data.train.examples:
        parts.append(units.steps(planned_steps(config, data.train.examples)))
    else:
        parts.append(_("no usable row yet") if data else _("the rows are being counted"))
    if price and price.seconds is not None:
        parts.append(duration(price.seconds))
    return _line(_("run"), _GAP.join(parts))


def _memory(config: TrainingConfig, price: Price | None) -> Content:
    if price is None:
        return _line(_("memory"), "…")
    if not price.peak_memory:
        return _line(_("memory"), _("not known of this base model"))
    text = _("{peak} measured") if price.is_measured else _("{peak} expected")
    peak = text.format(peak=size(price.peak_memory))
    text = _("{peak}; {budget} can be had").format(peak=peak, budget=size(price.budget))
    return _line(_("memory"), text) + (
        Content("") if price.fits else Content.styled(f"  ✗ {_('needs more memory')}", "$error")
    )


def _rate(config: TrainingConfig) -> Content:
    advised = advised_rate(config)
    text = _("peak {now}, advised {advised}").format(now=rate(config.learning_rate), advised=rate(advised))
    is_far = not advised / 2 <= config.learning_rate <= advised * 2
    return Content.assemble(
        _line(_("rate"), ""), (schedule_spark(config), "$accent"), "  ", (text, "$warning" if is_far else "")
    ) + Content("  !" if is_far else "")


def _changes(config: TrainingConfig) -> Content:
    name = nearest_profile(config)
    changed = changes(plain_profile(name, config), config)
    text = ", ".join(changed) if changed else _("as it is")
    return _line(name, text)


def _expected(text: str) -> Content:
    return Content.styled(f"! {text}", "$warning")


def _line(name: str, text: str) -> Content:
    return Content.assemble((f"{name:<12}", "$muted"), text)
