"""Parts of the self-test that need no MLX: what keeps the machine awake, its power and its display."""

import platform
import subprocess
import time

from engine.hardware import mac
from engine.hardware.command import Run, run_command
from engine.hardware.keep_awake import Launch, keep_awake, start_detached
from engine.hardware.power import check_power, read_battery
from engine.hardware.report import Check
from engine.i18n import _
from engine.selftest.bench import Bench
from engine.selftest.part import Skipped, found

_PATIENCE_S = 3.0
"""Seconds that the helper may take until the system lists what it asks for."""
_LOOK_S = 0.1


def try_keep_awake(_bench: Bench, _limit_s: float) -> Check:
    """See the helper start, ask the system to stay awake, and end."""
    return watch_keep_awake()


def watch_keep_awake(
    system: str = platform.system(),
    launch: Launch = start_detached,
    run: Run = run_command,
    patience_s: float = _PATIENCE_S,
) -> Check:
    """Keep the machine awake for a moment and say what was seen of it.

    Args:
        system: name of the operating system, as `platform.system()` tells it.
        launch: starts the helper.
        run: answers `pmset`.
        patience_s: seconds to wait for the system to list the helper.

    Raises:
        Skipped: nothing is started on this system.
    """
    if system != "Darwin":
        raise Skipped(_("Only a Mac is kept awake"))
    helpers: list[subprocess.Popen[bytes]] = []

    def launch_and_note(arguments: list[str]) -> "subprocess.Popen[bytes]":
        helpers.append(launch(arguments))
        return helpers[-1]

    with keep_awake(system, launch_and_note):
        if not helpers:
            return found("", "error", _("caffeinate did not start"), _("see if it is in /usr/bin"))
        is_listed = _is_listed(helpers[0], run, patience_s)
        if (code := helpers[0].poll()) is not None:
            return found("", "error", _("caffeinate ended at once with exit code {code}").format(code=code))
    if helpers[0].poll() is None:
        return found("", "error", _("caffeinate did not end with the run"))
    value = _("caffeinate started and ended")
    if is_listed:
        return found(_("{what}; pmset lists it").format(what=value))
    return found(value, "warning", _("pmset -g assertions does not list it, so the Mac may go to sleep"))


def _is_listed(helper: "subprocess.Popen[bytes]", run: Run, patience_s: float) -> bool:
    """Whether the system lists an assertion of the helper, such as `pid 812(caffeinate): [0x…] …`."""
    limit = time.monotonic() + patience_s
    while f"pid {helper.pid}(" not in run(["pmset", "-g", "assertions"]):
        if helper.poll() is not None or time.monotonic() >= limit:
            return False
        time.sleep(_LOOK_S)
    return True


def try_power(_bench: Bench, _limit_s: float) -> Check:
    """Say what is found of the power supply."""
    return check_power(read_battery())


def try_display(_bench: Bench, _limit_s: float) -> Check:
    """Say whether a display is on."""
    return display()


def display(system: str = platform.system(), run: Run = run_command) -> Check:
    """Say whether a display is on, and whether the lid is closed.

    Args:
        system: name of the operating system, as `platform.system()` tells it.
        run: answers `pmset` and `ioreg`.

    Raises:
        Skipped: it does not matter on this system, or is not told.
    """
    if system != "Darwin":
        raise Skipped(_("Only on a Mac does the display matter"))
    if not run(["pmset", "-g", "assertions"]):
        raise Skipped(_("pmset -g assertions did not answer"))
    lid = _("lid closed") if mac.lid_is_closed(run) else _("lid open or none")
    return found(f"{_('on') if mac.display_is_on(run) else _('off')}, {lid}")
