"""Checks of the power supply and of the terminal."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping

from engine.hardware import mac
from engine.hardware.command import Run, run_command
from engine.hardware.report import Check
from engine.i18n import _

import psutil

SMALLEST_TERMINAL = (80, 24)


def check_power(
    battery: tuple[float, bool] | None, system: str = platform.system(), run: Run = run_command
) -> Check:
    """Check that a long run will not empty a battery nor be slowed down.

    Args:
        battery: charge in percent and whether the machine is plugged in; None without a battery.
        system: name of the operating system, as `platform.system()` tells it.
        run: answers `pmset`.
    """
    if battery is None:
        value = _("no battery")
    elif battery[1]:
        value = _("plugged in, battery {percent:.0f} %").format(percent=battery[0])
    else:
        value = _("battery {percent:.0f} %").format(percent=battery[0])
        detail = _("A long run can empty the battery, and the chip runs slower on it")
        return Check("power", _("Power"), value, "warning", detail, _("plug in before a long run"))
    if system == "Darwin" and mac.low_power_mode(run):
        detail = _("Low Power Mode slows training down")
        fix = _("turn it off in System Settings, Battery, or run: sudo pmset -a lowpowermode 0")
        return Check("power", _("Power"), value, "warning", detail, fix)
    return Check("power", _("Power"), value, "ok")


def read_battery() -> tuple[float, bool] | None:
    """Return the battery's charge in percent and whether power is plugged in; None without one."""
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, ValueError):  # psutil lacks or cannot read the sensor here
        return None
    # power_plugged is None where the system does not tell: no reason to warn.
    return None if battery is None else (float(battery.percent), battery.power_plugged is not False)


def check_terminal(
    environment: Mapping[str, str] | None = None,
    is_tty: bool | None = None,
    size: tuple[int, int] | None = None,
) -> Check:
    """Check that the terminal is large enough. Without one there is nothing to check."""
    environment = os.environ if environment is None else environment
    if not (sys.stdout.isatty() if is_tty is None else is_tty):
        return Check("terminal", _("Terminal"), _("none (output goes to a file or a pipe)"), "ok")
    columns, lines = size or shutil.get_terminal_size()
    place = _("SSH") if {"SSH_CONNECTION", "SSH_TTY"} & set(environment) else _("local")
    value = f"{place}, {columns}x{lines}, {_colours(environment)}"
    if columns < SMALLEST_TERMINAL[0] or lines < SMALLEST_TERMINAL[1]:
        detail = _("The screens are made for 80x24 and larger")
        return Check("terminal", _("Terminal"), value, "warning", detail, _("enlarge the window"))
    return Check("terminal", _("Terminal"), value, "ok")


def _colours(environment: Mapping[str, str]) -> str:
    """Return the colours that the terminal announces, in words."""
    term = environment.get("TERM", "")
    if environment.get("NO_COLOR") or term in ("", "dumb"):
        return _("no colours")
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return _("16 million colours")
    return _("256 colours") if "256color" in term else _("16 colours")
