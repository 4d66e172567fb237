"""The power supply, and what it means for a run that is left alone for a night."""

import platform

from engine.hardware import mac
from engine.hardware.command import Run, run_command
from engine.hardware.report import Check
from engine.i18n import _

import psutil

Battery = tuple[float, bool]
"""Charge in percent, and whether the machine is plugged in."""

LOW_BATTERY = 20.0
"""Percent. A fifth of a laptop's 50 to 100 Wh lasts 10 to 40 min at 30 to 60 W (an estimate)."""
LONG_STEP_S = 0.5
"""Seconds. In the report that started mlx#3267 steps of 0.33 s were never ended, steps of 1.25 s always."""


def read_battery() -> Battery | None:
    """Return the battery's charge in percent and whether power is plugged in; None without one."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, ValueError):  # psutil lacks or cannot read the sensor here
        return None
    # power_plugged is None where the system does not tell: no reason to warn.
    return None if battery is None else (float(battery.percent), battery.power_plugged is not False)


def check_power(battery: Battery | None, system: str = platform.system(), run: Run = run_command) -> Check:
    """Check that a long run will not empty a battery nor be slowed down; on a Mac, what the night asks for.

    Args:
        battery: see `read_battery`.
        system: name of the operating system, as `platform.system()` tells it.
        run: answers `pmset` and `ioreg`.
    """
    value = _power_words(battery)
    if faults := _faults(battery, system, run):
        return Check("power", _("Power"), value, "warning", *faults[0])
    if system == "Darwin" and mac.display_is_on(run):
        value = _("{power}; at night turn the display off").format(power=value)
        detail = _("While the display is on, macOS may end long work on the GPU")
        fix = _("turn it off before you leave: pmset displaysleepnow")
        return Check("power", _("Power"), value, "ok", detail, fix)
    return Check("power", _("Power"), value, "ok")


def power_warnings(
    battery: Battery | None, system: str = platform.system(), run: Run = run_command
) -> list[str]:
    """Return what may slow or end a long run, gravest first: sentences with advice, without a full stop.

    They concern the power supply; the display matters only once steps prove long, see
    `display_warning`. On macOS two small tools are asked, for at most 2 s each.

    Args:
        battery: see `read_battery`.
        system: name of the operating system, as `platform.system()` tells it.
        run: answers `pmset` and `ioreg`.
    """
    return [
        _("{problem}; {advice}").format(problem=problem, advice=advice)
        for problem, advice in _faults(battery, system, run)
    ]


def display_warning(
    seconds_per_step: float, system: str = platform.system(), run: Run = run_command
) -> str | None:
    """Return a warning where macOS may end training because its steps are long and a display is on.

    The system ends GPU work that keeps it from drawing ("Impacting Interactivity"), which needs a
    display that is on and steps that are long (mlx#3267). To be asked once, after a few steps,
    and only where MLX computes on the GPU.

    Args:
        seconds_per_step: usual duration of an optimizer step. Several micro-batches make it longer
            than the pieces the GPU gets, which errs on the side of warning.
        system: name of the operating system, as `platform.system()` tells it.
        run: answers `pmset`.
    """
    if system != "Darwin" or seconds_per_step < LONG_STEP_S or not mac.display_is_on(run):
        return None
    return _(
        "The display is on, and macOS may then end training with steps of {seconds:.1f} s;"
        " turn it off with: pmset displaysleepnow"
    ).format(seconds=seconds_per_step)


def _power_words(battery: Battery | None) -> str:
    if battery is None:
        return _("no battery")
    percent, plugged = battery
    words = _("plugged in, battery {percent:.0f} %") if plugged else _("battery {percent:.0f} %")
    return words.format(percent=percent)


def _faults(battery: Battery | None, system: str, run: Run) -> list[tuple[str, str]]:
    """Return what is wrong and what to do about it, gravest first."""
    is_mac, on_battery = system == "Darwin", battery is not None and not battery[1]
    faults = []
    if is_mac and on_battery and mac.lid_is_closed(run):
        problem = _("The lid is closed, and on battery a closed Mac goes to sleep whatever is running")
        faults.append((problem, _("plug in the charger or open the lid")))
    if battery is not None and on_battery:
        problem = (
            _("The battery is low ({percent:.0f} %) and will not last a long run").format(percent=battery[0])
            if battery[0] <= LOW_BATTERY
            else _("A long run can empty the battery, and the chip runs slower on it")
        )
        faults.append((problem, _("plug in the charger")))
    if is_mac and mac.low_power_mode(run):
        fix = _("turn it off in System Settings, Battery, or run: sudo pmset -a lowpowermode 0")
        faults.append((_("Low Power Mode slows training down"), fix))
    return faults
